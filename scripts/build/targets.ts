/** A platform that binaries are released for. */
export interface Target {
  readonly name: TargetName;
  /** As package managers name it. */
  readonly os: "linux" | "darwin";
  readonly cpu: "x64" | "arm64";
  /** The C library of the Linux that it is for, as package managers name it; null on macOS. */
  readonly libc: "glibc" | "musl" | null;
  /** The npm package that holds Bun's runtime for it. */
  readonly runtimePackage: string;
  /** Bun's name of it, without the version. */
  readonly bunTarget: string;
}

export const TARGET_NAMES = [
  "linux-x64",
  "linux-arm64",
  "linux-x64-musl",
  "linux-arm64-musl",
  "darwin-x64",
  "darwin-arm64",
] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

/** All released platforms. Linux without a C library in its name means glibc. */
export const TARGETS: readonly Target[] = [
  {
    name: "linux-x64",
    os: "linux",
    cpu: "x64",
    libc: "glibc",
    // Made for processors without AVX2. In 1.4.5 it is the same file as @oven/bun-linux-x64; earlier it was not.
    runtimePackage: "@oven/bun-linux-x64-baseline",
    bunTarget: "bun-linux-x64-baseline",
  },
  {
    name: "linux-arm64",
    os: "linux",
    cpu: "arm64",
    libc: "glibc",
    runtimePackage: "@oven/bun-linux-aarch64",
    bunTarget: "bun-linux-arm64",
  },
  {
    name: "linux-x64-musl",
    os: "linux",
    cpu: "x64",
    libc: "musl",
    runtimePackage: "@oven/bun-linux-x64-musl-baseline",
    bunTarget: "bun-linux-x64-musl-baseline",
  },
  {
    name: "linux-arm64-musl",
    os: "linux",
    cpu: "arm64",
    libc: "musl",
    runtimePackage: "@oven/bun-linux-aarch64-musl",
    bunTarget: "bun-linux-arm64-musl",
  },
  {
    name: "darwin-x64",
    os: "darwin",
    cpu: "x64",
    libc: null,
    runtimePackage: "@oven/bun-darwin-x64",
    bunTarget: "bun-darwin-x64",
  },
  {
    name: "darwin-arm64",
    os: "darwin",
    cpu: "arm64",
    libc: null,
    runtimePackage: "@oven/bun-darwin-aarch64",
    bunTarget: "bun-darwin-arm64",
  },
];

/** The file name of a target's binary. */
export function binaryName({ name }: Pick<Target, "name">): string {
  return `clickhouse-backfill-${name}`;
}

/** The file name of a target's archive. */
export function archiveName(target: Pick<Target, "name">): string {
  return `${binaryName(target)}.tar.gz`;
}

/** The targets that `--target` names: one, or all of them; null when it names none. */
export function targetsNamed(name: string): readonly Target[] | null {
  if (name === "all") return TARGETS;
  const target = TARGETS.find((candidate) => candidate.name === name);
  return target === undefined ? null : [target];
}
