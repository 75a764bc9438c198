import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import { arm64, arm64Musl, oldProcessor, ROOT, release, x64Musl } from "./machine.ts";
import { whyNoMusl } from "./musl.ts";

let dist: string;
beforeAll(async () => {
  dist = await release();
});

/** An emulator is slow, and so is a machine with other work. */
const EMULATED_RUN_TIMEOUT_MS = 400_000;

interface Run {
  readonly name: string;
  readonly where: string;
  /** What starts it; null where nothing can, as its place says. */
  readonly runner: (() => string[] | Promise<string[]>) | null;
  readonly observations: number;
}

const noArm64Musl = whyNoMusl("arm64");

const RUNS: readonly Run[] = [
  { name: "linux-x64", where: "a processor without AVX", runner: oldProcessor, observations: 20_000 },
  { name: "linux-arm64", where: "arm64", runner: arm64, observations: 20_000 },
  { name: "linux-x64-musl", where: "musl", runner: x64Musl, observations: 20_000 },
  noArm64Musl === null
    ? { name: "linux-arm64-musl", where: "musl on arm64", runner: arm64Musl, observations: 2000 }
    : { name: "linux-arm64-musl", where: `nothing here: ${noArm64Musl}`, runner: null, observations: 0 },
];

describe.each(RUNS)("clickhouse-backfill-$name on $where", ({ name, runner, observations }) => {
  const binary = (): string => join(dist, `clickhouse-backfill-${name}`);
  let starter: string[] | null;
  beforeAll(async () => {
    starter = runner === null ? null : await runner();
  });

  test("prints its version and its help", async () => {
    if (starter === null) return;
    const output = await outputOf([...starter, binary(), "--version"], { cwd: tmpdir() });
    const { version } = await Bun.file(join(ROOT, "package.json")).json();
    expect(output).toStartWith(`clickhouse-backfill ${version} (`);
    expect(await outputOf([...starter, binary(), "--help"], { cwd: tmpdir() })).toContain("--partition");
  });

  test(
    "copies a month, every row as SQL has it",
    async () => {
      if (starter === null) return;
      const output = await outputOf(
        [
          process.execPath,
          "scripts/demo.ts",
          "--binary",
          binary(),
          "--runner",
          starter.join(" "),
          "--observations",
          String(observations),
          "--traces",
          String(observations / 10),
        ],
        // With the allocator's setting given, a run does not restart itself, which it would do without the emulator.
        { cwd: ROOT, env: { ...process.env, MIMALLOC_PURGE_DELAY: "-1" } },
      );
      const expected = /events is the same as its sources, .*\n {2}Rows expected +([\d,]+)\n/.exec(
        output,
      )?.[1];
      // Some of the observations are deleted ones.
      expect(Number(expected?.replaceAll(",", "")) / observations).toBeGreaterThan(0.95);
      expect(output).toContain("events differs from its sources: 1 differing.\n");
      expect(output).toContain("The repaired parts of partition 202511: events is the same as its sources");
    },
    EMULATED_RUN_TIMEOUT_MS,
  );
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
