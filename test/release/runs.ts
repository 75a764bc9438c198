import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import { arm64, oldProcessor, ROOT, release } from "./machine.ts";

let dist: string;
beforeAll(async () => {
  dist = await release();
});

describe.each([
  { name: "clickhouse-backfill-linux-x64", where: "a processor without AVX", runner: oldProcessor },
  { name: "clickhouse-backfill-linux-arm64", where: "arm64", runner: arm64 },
])("$name on $where", ({ name, runner }) => {
  test("prints its version", async () => {
    const output = await outputOf([...runner(), join(dist, name), "--version"], { cwd: tmpdir() });
    const { version } = await Bun.file(join(ROOT, "package.json")).json();
    expect(output).toStartWith(`clickhouse-backfill ${version} (`);
  });

  test("copies a month, every row as SQL has it", async () => {
    const sizes = ["--observations", "20000", "--traces", "2000"];
    const output = await outputOf(
      [
        process.execPath,
        "scripts/demo.ts",
        "--binary",
        join(dist, name),
        "--runner",
        runner().join(" "),
        ...sizes,
      ],
      // With the allocator's setting given, a run does not restart itself, which it would do without the emulator.
      { cwd: ROOT, env: { ...process.env, MIMALLOC_PURGE_DELAY: "-1" } },
    );
    expect(output).toMatch(/events is the same as its sources, .*\n {2}Rows expected +19,\d\d\d\n/);
    expect(output).toContain("events differs from its sources: 1 differing.\n");
    expect(output).toContain("The repaired parts of partition 202511: events is the same as its sources");
  });
});

test("the old processor has no AVX2: a program that uses it dies", async () => {
  const folder = mkdtempSync(join(tmpdir(), "clickhouse-backfill-avx2-"));
  const ends = async (...instruction: number[]) => {
    const path = join(folder, `program-${instruction.length}`);
    writeFileSync(path, executable(instruction));
    chmodSync(path, 0o755);
    const child = Bun.spawn([...oldProcessor(), path], { stdio: ["ignore", "ignore", "ignore"] });
    await child.exited;
    return child.signalCode ?? child.exitCode;
  };
  expect(await ends()).toBe(0);
  // vpaddd ymm0, ymm0, ymm0
  expect(await ends(0xc5, 0xfd, 0xfe, 0xc0)).toBe("SIGILL");
  rmSync(folder, { recursive: true });
});

/** The smallest x64 program for Linux: the given code, then exit(0). Format: elf(5). */
function executable(code: readonly number[]): Buffer {
  const base = 0x400000n;
  // mov eax, 60 (exit); xor edi, edi; syscall
  const program = Buffer.from([...code, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
  const header = Buffer.alloc(64 + 56);
  const bytes = header.length + program.length;
  header.write("\x7fELF\x02\x01\x01", 0, "latin1");
  header.writeUInt16LE(2, 16);
  header.writeUInt16LE(62, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(base + BigInt(header.length), 24);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(64, 52);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(1, 56);
  // One segment: all of the file, to be read and run.
  header.writeUInt32LE(1, 64);
  header.writeUInt32LE(5, 68);
  header.writeBigUInt64LE(base, 80);
  header.writeBigUInt64LE(base, 88);
  header.writeBigUInt64LE(BigInt(bytes), 96);
  header.writeBigUInt64LE(BigInt(bytes), 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([header, program]);
}
