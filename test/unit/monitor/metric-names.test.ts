import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PHASES } from "../../../src/plan/phases.ts";
import { METRIC_NAMES, MONTH_OUTCOMES } from "../../../src/report/metrics.ts";
import { RUN_STATES } from "../../../src/report/run-state.ts";

const ROOT = join(import.meta.dir, "../../..");
const FILES = ["deploy/grafana-dashboard.json", "deploy/prometheus-alerts.yml", "docs/operations.md"];
const NAMES: readonly string[] = Object.values(METRIC_NAMES);

describe.each(FILES)("%s", (file) => {
  const text = readFileSync(join(ROOT, file), "utf8").replaceAll('\\"', '"');

  test("uses metrics that there are", () => {
    const used = text.match(/\b(?:clickhouse_backfill|process)_[a-z_]+/g) ?? [];
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((name) => !NAMES.includes(name))).toEqual([]);
  });

  test("asks for states, outcomes and phases that there are", () => {
    for (const [label, known] of [
      ["state", RUN_STATES],
      ["outcome", MONTH_OUTCOMES],
      ["phase", ["traces", ...PHASES]],
    ] as const) {
      const matches = text.matchAll(new RegExp(`\\b${label}(?:=|=~|!=|!~)"([a-z|-]+)"`, "g"));
      const values = [...matches].flatMap(([, value = ""]) => value.split("|"));
      expect(values.filter((value) => !known.some((name) => name === value))).toEqual([]);
    }
  });
});

test("docs/operations.md explains every metric", () => {
  const text = readFileSync(join(ROOT, "docs/operations.md"), "utf8");
  expect(NAMES.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});

test("the dashboard draws every metric of the run's progress", () => {
  const text = readFileSync(join(ROOT, "deploy/grafana-dashboard.json"), "utf8");
  const { rowsRead, rowsInserted, bytesRead, rowsKept, rowsPlanned, retries, state, months, remaining } =
    METRIC_NAMES;
  for (const name of [
    rowsRead,
    rowsInserted,
    bytesRead,
    rowsKept,
    rowsPlanned,
    retries,
    state,
    months,
    remaining,
  ]) {
    expect(text).toContain(name);
  }
});
