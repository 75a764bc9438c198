import { describe, expect, test } from "bun:test";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { packageManager, scripts } from "../../../package.json";

const ROOT = resolve(import.meta.dir, "../../..");
const DIRECTORY = join(ROOT, ".github/workflows");

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

interface Workflow {
  readonly permissions?: unknown;
  readonly concurrency?: unknown;
  readonly jobs: Readonly<
    Record<
      string,
      { readonly permissions?: unknown; readonly "timeout-minutes"?: number; readonly steps: readonly Step[] }
    >
  >;
}

const FILES = ["ci.yml", "release.yml"];
const TEXTS = FILES.map((file) => readFileSync(join(DIRECTORY, file), "utf8"));

test("all workflows are checked", () => {
  expect([...new Bun.Glob("*").scanSync({ cwd: DIRECTORY })].sort()).toEqual(FILES);
});

test("an action has one commit, named by its full hash, with the version in a comment", () => {
  const commits = new Map<string, Set<string>>();
  for (const line of TEXTS.join("")
    .split("\n")
    .filter((text) => text.includes("uses:"))) {
    const [, action, commit] =
      /^ +(?:- )?uses: ([\w-]+\/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$/.exec(line) ?? [];
    if (action === undefined || commit === undefined) throw new Error(`not pinned: ${line.trim()}`);
    commits.set(action, (commits.get(action) ?? new Set()).add(commit));
  }
  expect(commits.size).toBeGreaterThan(3);
  for (const [action, of] of commits) expect([...of], action).toHaveLength(1);
});

describe.each(FILES)("%s", (file) => {
  const text = TEXTS[FILES.indexOf(file)] ?? "";
  const workflow = Bun.YAML.parse(text) as Workflow;
  const jobs = Object.entries(workflow.jobs);

  test("gives no job more rights than it names, and no secret", () => {
    expect(workflow.permissions).toEqual({});
    expect(text).not.toContain("secrets.");
    for (const [name, job] of jobs) {
      expect(job.permissions, name).toBeObject();
      for (const step of job.steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"))) {
        expect(step.with, name).toMatchObject({ "persist-credentials": false });
      }
    }
  });

  test("ends, and does not run twice at a time", () => {
    expect(workflow.concurrency).toBeDefined();
    for (const [name, job] of jobs) expect(job["timeout-minutes"], name).toBeWithin(1, 61);
  });

  test("runs scripts that exist, with the Bun that the project uses", () => {
    const runs = jobs.flatMap(([, job]) => job.steps.flatMap(({ run }) => (run === undefined ? [] : [run])));
    expect(runs.length).toBeGreaterThan(5);
    for (const run of runs) {
      for (const [path] of run.matchAll(/(?:scripts|\.ci)\/[\w./-]+/g)) {
        expect(existsSync(join(ROOT, path)), path).toBeTrue();
        if (!path.endsWith(".ts")) accessSync(join(ROOT, path), constants.X_OK);
      }
      for (const [, name = ""] of run.matchAll(/ run ([\w:]+)/g))
        expect(Object.keys(scripts)).toContain(name);
      for (const [version] of run.matchAll(/bun@[\w.-]+/g)) expect(version).toBe(packageManager);
    }
  });
});
