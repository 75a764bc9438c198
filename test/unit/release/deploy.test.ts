import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { deployFiles } from "../../../scripts/release/deploy-files.ts";
import { lockPath, statePath } from "../../../src/checkpoint/paths.ts";
import { GRACE_PERIOD_MS } from "../../../src/commands/stop-signals.ts";
import { OPTIONS } from "../../../src/config/options.ts";
import { EXIT_CODES } from "../../../src/errors.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const textOf = (name: string): string => readFileSync(join(ROOT, "deploy", name), "utf8");

interface Job {
  readonly spec: {
    readonly podFailurePolicy: { readonly rules: { readonly onExitCodes?: { readonly values: number[] } }[] };
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly initContainers: { readonly command: string[] }[];
        readonly containers: { readonly args: string[]; readonly env: { readonly name: string }[] }[];
      };
    };
  };
}

interface Compose {
  readonly services: Readonly<
    Record<
      string,
      { readonly environment: Readonly<Record<string, string>>; readonly stop_grace_period: string }
    >
  >;
}

const dockerfile = textOf("Dockerfile");
const unit = textOf("clickhouse-backfill.service");
const [, job] = Bun.YAML.parse(textOf("kubernetes-job.yaml")) as [unknown, Job];
const pod = job.spec.template.spec;
const service = (Bun.YAML.parse(textOf("compose.yaml")) as Compose).services["clickhouse-backfill"];

const namesIn = (text: string, pattern: RegExp): string[] =>
  Array.from(text.matchAll(pattern), ([, name = ""]) => name);

test.each([
  ["Dockerfile", namesIn(dockerfile, /^ENV (\w+)=/gm)],
  ["compose.yaml", Object.keys(service?.environment ?? {})],
  ["kubernetes-job.yaml", pod.containers.flatMap(({ env }) => env.map(({ name }) => name))],
  ["clickhouse-backfill.service", namesIn(unit, /^Environment=(\w+)=/gm)],
  ["ec2-user-data.sh", namesIn(textOf("ec2-user-data.sh").split("<<END")[1] ?? "", /^(\w+)=/gm)],
])("the variables in %s are those of options", (_, names) => {
  const known: readonly (string | null)[] = Object.values(OPTIONS).map(({ variable }) => variable);
  expect(names).not.toBeEmpty();
  expect(names.filter((name) => !known.includes(name))).toEqual([]);
});

test("the flags in deploy are those of options", async () => {
  const known = Object.values(OPTIONS).map(({ flag }) => `--${flag}`);
  const used = pod.containers.flatMap(({ args }) => args.filter((arg) => arg.startsWith("-")));
  expect(used).not.toBeEmpty();
  expect(used.filter((flag) => !known.includes(flag))).toEqual([]);
});

test("whoever stops a run waits for its open INSERTs", () => {
  const seconds = [
    pod.terminationGracePeriodSeconds,
    Number.parseInt(service?.stop_grace_period ?? "", 10),
    Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]),
  ];
  for (const each of seconds) expect(each * 1000).toBeWithin(GRACE_PERIOD_MS + 10_000, 120_000);
});

test("what trying again can't mend is not tried again", () => {
  const lasting = [EXIT_CODES.usage, EXIT_CODES.checkpoint];
  expect(job.spec.podFailurePolicy.rules[0]?.onExitCodes?.values).toEqual(lasting);
  expect(unit).toContain(`\nRestartPreventExitStatus=${lasting.join(" ")}\n`);
});

test("the Job removes the lock that a pod has left", () => {
  const patterns = pod.initContainers[0]?.command.at(-1)?.split(" ") ?? [];
  const isRemoved = (path: string): boolean => patterns.some((pattern) => new Bun.Glob(pattern).match(path));
  const lock = lockPath("/state", "202511");
  expect([lock, `${lock}.takeover`, statePath("/state", "202511")].map(isRemoved)).toEqual([
    true,
    true,
    false,
  ]);
});

test("a release puts its addresses into the files, and leaves no place empty", async () => {
  const addresses = { baseUrl: "https://example.com/o/r/releases", image: "example.com/o/r:1.2.3" };
  const files = new Map(
    (await deployFiles(ROOT, addresses)).map(({ name, content }) => [basename(name), String(content)]),
  );
  expect([...files.keys()]).toContain("clickhouse-backfill.service");
  expect(files.get("Dockerfile")).toContain(`\nARG RELEASES=${addresses.baseUrl}\n`);
  expect(files.get("ec2-user-data.sh")).toContain(`\nRELEASES=${addresses.baseUrl}\n`);
  expect(files.get("compose.yaml")).toContain(`:-${addresses.image}}\n`);
  expect(files.get("kubernetes-job.yaml")).toContain(` image: "${addresses.image}"\n`);
});
