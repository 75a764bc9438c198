import { join } from "node:path";
import { CHECKSUMS, SBOM, sha256 } from "../build/release-files.ts";
import { archiveName, binaryName, TARGETS, type Target } from "../build/targets.ts";
import { readElf } from "./elf.ts";
import { type CodeSignature, readMachO } from "./mach-o.ts";

const ELF_MACHINES = { x64: 62, arm64: 183 } as const;
const ELF_INTERPRETERS = {
  glibc: { x64: "/lib64/ld-linux-x86-64.so.2", arm64: "/lib/ld-linux-aarch64.so.1" },
  musl: { x64: "/lib/ld-musl-x86_64.so.1", arm64: "/lib/ld-musl-aarch64.so.1" },
} as const;
/** glibc is several files, which every system with it has. musl is one, and the C++ library a package of its own. */
const ELF_LIBRARIES = {
  glibc: {
    x64: ["libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2", "libm.so.6"],
    arm64: ["libc.so.6", "ld-linux-aarch64.so.1", "libpthread.so.0", "libdl.so.2", "libm.so.6"],
  },
  musl: {
    x64: ["libstdc++.so.6", "libc.musl-x86_64.so.1"],
    arm64: ["libstdc++.so.6", "libc.musl-aarch64.so.1"],
  },
} as const;
const MACH_CPU_TYPES = { x64: 0x01000007, arm64: 0x0100000c } as const;
const MACH_EXECUTE = 2;

/** What a binary is, checked: its problems, and its signature where its format has one. */
export interface BinaryCheck {
  readonly problems: readonly string[];
  readonly signature: CodeSignature | null;
}

/** Checks that a file is an executable for the target. */
export function checkBinary(target: Target, file: Buffer): BinaryCheck {
  const problems: string[] = [];
  const expect = (what: string, actual: unknown, expected: unknown): void => {
    if (actual !== expected) problems.push(`${what} is ${actual}, expected ${expected}`);
  };
  if (target.libc !== null) {
    const { machine, interpreter, libraries } = readElf(file);
    expect("the ELF machine", machine, ELF_MACHINES[target.cpu]);
    expect("the loader", interpreter, ELF_INTERPRETERS[target.libc][target.cpu]);
    expect("the list of libraries", libraries.join(), ELF_LIBRARIES[target.libc][target.cpu].join());
    return { problems, signature: null };
  }
  const { cpuType, fileType, signature } = readMachO(file);
  expect("the CPU type", cpuType, MACH_CPU_TYPES[target.cpu]);
  expect("the file type", fileType, MACH_EXECUTE);
  if (signature === null) problems.push("there is no code signature");
  return { problems, signature };
}

/** Whether macOS takes it: digests for all of the file, all of them right. */
export function isIntact({ wrongPages, bytesNotCovered }: CodeSignature): boolean {
  return wrongPages === 0 && bytesNotCovered === 0;
}

/** A signature's state in words. */
export function describeSignature(signature: CodeSignature): string {
  const { identifier, isAdHoc, pages, wrongPages, bytesNotCovered } = signature;
  const kind = isAdHoc ? "ad hoc" : "of a certificate";
  return `${kind}, identifier ${identifier}: ${wrongPages} of ${pages} pages wrong, ${bytesNotCovered} bytes not covered`;
}

/** Checks that SHA256SUMS lists the files of a release, all and no others, and that they are what it says. */
export async function checksumProblems(directory: string): Promise<string[]> {
  const problems: string[] = [];
  const expected = [...TARGETS.flatMap((target) => [binaryName(target), archiveName(target)]), SBOM];
  const lines = (await Bun.file(join(directory, CHECKSUMS)).text()).trimEnd().split("\n");
  const listed = new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)] as const));
  for (const name of expected) {
    const digest = listed.get(name);
    if (digest === undefined) problems.push(`${CHECKSUMS} lacks ${name}`);
    else if (digest !== (await sha256(join(directory, name))))
      problems.push(`${name} is not what ${CHECKSUMS} says`);
  }
  for (const name of listed.keys()) {
    if (!expected.includes(name)) problems.push(`${CHECKSUMS} has ${name}, which is no file of a release`);
  }
  return problems;
}
