import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import { loaderOf, muslRoot } from "./musl.ts";

export const ROOT = resolve(import.meta.dir, "../..");
export const DIST = resolve(ROOT, "dist");

const EMULATORS = "apt-get install qemu-user-static libc6-arm64-cross";
const ARM64_ROOT = "/usr/aarch64-linux-gnu";

let built: Promise<string> | undefined;

/** Builds all targets into dist/, once per test process; resolves to that folder. */
export function release(): Promise<string> {
  built ??= outputOf([process.execPath, "scripts/build.ts", "--target", "all"], { cwd: ROOT }).then(
    () => DIST,
  );
  return built;
}

/** What starts x64 programs on a processor of 2008: SSE 4.2, and neither AVX nor AVX2. */
export function oldProcessor(): string[] {
  return [emulator("x86_64"), "-cpu", "Nehalem"];
}

/** What starts arm64 programs: nothing on such a machine. */
export function arm64(): string[] {
  if (process.arch === "arm64") return [];
  const loader = `${ARM64_ROOT}/lib/ld-linux-aarch64.so.1`;
  if (!existsSync(loader)) throw new Error(`${loader} is missing. Debian and Ubuntu: ${EMULATORS}`);
  return [emulator("aarch64"), "-L", ARM64_ROOT];
}

/** What starts x64 programs that are made for musl, on an x64 machine with whatever C library. */
export async function x64Musl(): Promise<string[]> {
  if (process.arch !== "x64") throw new Error("This starts x64 programs on an x64 machine only.");
  const root = await muslRoot("x64");
  return [join(root, loaderOf("x64")), "--library-path", join(root, "lib")];
}

/** What starts arm64 programs that are made for musl. */
export async function arm64Musl(): Promise<string[]> {
  return [emulator("aarch64"), "-L", await muslRoot("arm64")];
}

function emulator(machine: "x86_64" | "aarch64"): string {
  if (process.platform !== "linux") throw new Error("The emulators of Linux programs run on Linux only.");
  const name = `qemu-${machine}-static`;
  if (Bun.which(name) === null) throw new Error(`${name} is missing. Debian and Ubuntu: ${EMULATORS}`);
  return name;
}
