import { pause } from "../../abortable.ts";
import type { WaitNotice } from "../../clickhouse/merge-wait.ts";
import { backoffMs, type RetryPolicy } from "../../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../../clickhouse/server.ts";
import { qualifiedTable } from "../../clickhouse/sql.ts";
import { RunError } from "../../errors.ts";
import { LAYOUTS, type Layout } from "../../mapping/layouts.ts";
import { jsonColumnType, type ResolvedMapping, type SelectItem } from "../../mapping/resolve-mapping.ts";
import type { BackfillOptions } from "../backfill-options.ts";
import { coreViewProblem } from "./core-view.ts";
import { inspectDatasetRuns } from "./dataset-runs.ts";
import { probeJson } from "./json-support.ts";
import { describeMutation, unfinishedMutations } from "./mutations.ts";
import { consistentReads, replicaLag, replicaStates } from "./replicas.ts";
import { describeRowPolicy, rowPolicies } from "./row-policies.ts";
import { sortingKeyColumns, sortingKeyProblems } from "./sorting-key.ts";
import { inspectTables, type TableFindings } from "./tables.ts";
import { describeSourceTtl, describeTargetTtl, expiredSourceTtls, expiredTargetTtls } from "./ttl.ts";

/** What the tables are checked for: what would spoil an INSERT is of no concern to who only compares. */
export type Purpose = "copy" | "compare";

/** Who follows the checks. */
export interface PreflightListener {
  readonly onWarning: (message: string) => void;
  readonly onNotice: (message: string) => void;
  readonly onWait: (notice: WaitNotice) => void;
}

/** Tables that a run can use. */
export interface CheckedTables {
  /** Of the observations, with what the server's JSON columns keep. */
  readonly mapping: ResolvedMapping;
  /** Of the root rows; null where the layout has none. */
  readonly roots: ResolvedMapping | null;
  /** Null: there are no dataset runs, or the target has no columns for them. */
  readonly experiments: CheckedExperiments | null;
  /** Whether the target's JSON column stores what comes as paths as it stores text. */
  readonly takesJsonPaths: boolean;
  /** Whether views copy what is inserted into the target: their rows count in the response to an INSERT. */
  readonly targetHasViews: boolean;
  /** Settings of queries that join the sources on the server. */
  readonly consistentReads: QuerySettings;
}

/** The dataset runs of a database, and what their traces become. */
export interface CheckedExperiments {
  readonly itemColumns: readonly SelectItem[];
  readonly observations: ResolvedMapping;
  readonly roots: ResolvedMapping;
  /** The observations have a column of their parents. */
  readonly hasParents: boolean;
}

/** What a run may begin with. */
export interface Preflight extends CheckedTables {
  /** What the final report repeats. */
  readonly warnings: readonly string[];
}

const FIRST_WAIT_MS = 1_000;

/**
 * Checks everything that would spoil a run, before it inserts anything: the tables and their columns, engines and keys, TTLs that
 * would undo the run, row policies, unfinished mutations and replicas that lag. Waits for the last two, at most
 * `maxWaitMs` each. Rejects with a RunError that lists every problem at once.
 */
export async function preflight(
  server: Server,
  options: BackfillOptions,
  layout: Layout,
  retry: RetryPolicy,
  listener: PreflightListener,
  purpose: Purpose = "copy",
): Promise<Preflight> {
  const tables = await checkTables(server, options, retry, listener, layout, purpose);
  await waitForReplicas(server, options, retry, listener, purpose);
  await waitForMutations(server, options, retry, listener);
  const { database } = options.connection;
  const { source, traces } = options.tables;
  const policies = await rowPolicies(server, database, [source, traces], retry);
  const warnings = policies.map(describeRowPolicy);
  for (const warning of warnings) listener.onWarning(warning);
  return { ...tables, warnings };
}

/**
 * Checks the tables alone, and applies the mapping to them. Rejects with a RunError that lists every problem at once.
 */
export async function checkTables(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
  { onWarning, onNotice }: Pick<PreflightListener, "onWarning" | "onNotice"> = {
    onWarning: () => {},
    onNotice: () => {},
  },
  layout: Layout = LAYOUTS.events,
  purpose: Purpose = "copy",
): Promise<CheckedTables> {
  const findings = await inspectTables(server, options, layout, retry);
  const mapping = findings.mappings?.observations ?? null;
  const roots = findings.mappings?.roots ?? null;
  const problems = [...findings.problems];
  const advice =
    problems.length > 0 ? ["Check --clickhouse-db, --source-table, --traces-table and --target-table."] : [];
  if (mapping !== null && problems.length === 0) {
    problems.push(...(await keyProblems(server, options, retry, findings, mapping)));
    const ttls =
      purpose === "compare" ? [] : await targetTtlProblems(server, options, retry, findings, mapping);
    if (options.ignoreTtl) for (const ttl of ttls) onWarning(ttl);
    else problems.push(...ttls);
    for (const warning of await sourceTtlWarnings(server, options, retry, findings)) onWarning(warning);
    const experiments = await checkExperiments(server, options, retry, findings);
    problems.push(...experiments.problems);
    if (experiments.notice !== null) onNotice(experiments.notice);
    if (layout === LAYOUTS.v4 && purpose === "copy") {
      const view = await coreViewProblem(server, options.connection.database, options.tables.target, retry);
      if (view?.kind === "missing" && options.allowMissingView) onWarning(view.message);
      else if (view !== null) problems.push(view.message);
    }
    const jsonType = jsonColumnType(mapping.derived);
    const json = jsonType === null ? null : await probeJson(server, jsonType, retry);
    if (typeof json === "string") problems.push(json);
    else if (problems.length === 0) {
      const targetHasViews = findings.engines.get(options.tables.target)?.hasViews ?? true;
      const { source, traces } = options.tables;
      const engines = [source, traces].map((name) => findings.engines.get(name)?.engine ?? "");
      const found = {
        roots,
        experiments: experiments.checked,
        targetHasViews,
        consistentReads: consistentReads(engines),
      };
      return json === null
        ? { mapping, takesJsonPaths: false, ...found }
        : { mapping: { ...mapping, keptJson: json.keeps }, takesJsonPaths: json.takesPaths, ...found };
    }
  }
  throw new RunError([findings.headline, ...problems, ...advice].join("\n"));
}

/** The check of dataset runs: what they become, or why they become nothing. */
interface ExperimentFindings {
  readonly checked: CheckedExperiments | null;
  readonly problems: readonly string[];
  readonly notice: string | null;
}

async function checkExperiments(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
  { mappings, sourceColumns }: TableFindings,
): Promise<ExperimentFindings> {
  const mapped = mappings?.experiments ?? null;
  const nothing = { checked: null, problems: [], notice: null };
  if (mapped === null) return nothing;
  const { observations, roots } = mapped;
  const takesExperiments = observations.derived.some(({ column }) => column.source.from === "experiment");
  const { target } = options.tables;
  if (!takesExperiments) {
    const notice = `${target} has no columns for experiments: traces of dataset runs are copied like all others`;
    return { ...nothing, notice };
  }
  const found = await inspectDatasetRuns(server, options, observations.derived, retry);
  const table = options.datasetRunItemsTable;
  switch (found.kind) {
    case "absent":
      return {
        ...nothing,
        notice: `There is no table ${table} (--dataset-run-items-table), and so there are no dataset runs: no trace is left out`,
      };
    case "unusable":
      return { ...nothing, problems: found.problems };
    case "usable": {
      const hasParents = sourceColumns.has("parent_observation_id");
      return { ...nothing, checked: { observations, roots, itemColumns: found.itemColumns, hasParents } };
    }
  }
}

async function keyProblems(
  server: Server,
  { connection: { database }, tables: { target } }: BackfillOptions,
  retry: RetryPolicy,
  { engines }: TableFindings,
  mapping: ResolvedMapping,
): Promise<string[]> {
  const facts = engines.get(target);
  // The engine Null keeps nothing, and so collapses nothing.
  if (facts === undefined || facts.sortingKey === "") return [];
  const columns = await sortingKeyColumns(server, database, target, retry);
  return sortingKeyProblems(target, facts.sortingKey, columns, mapping);
}

async function targetTtlProblems(
  server: Server,
  { connection: { database }, tables: { source, target }, partition }: BackfillOptions,
  retry: RetryPolicy,
  { engines, targetColumns }: TableFindings,
  mapping: ResolvedMapping,
): Promise<string[]> {
  const createQuery = engines.get(target)?.createQuery ?? "";
  const scope = { server, table: qualifiedTable(database, source), partition, retry };
  const expired = await expiredTargetTtls(scope, createQuery, mapping, targetColumns);
  return expired.map((ttl) => describeTargetTtl(target, ttl));
}

async function sourceTtlWarnings(
  server: Server,
  { connection: { database }, tables: { source, traces }, partition }: BackfillOptions,
  retry: RetryPolicy,
  { engines }: TableFindings,
): Promise<string[]> {
  const warnings: string[] = [];
  for (const name of [source, traces]) {
    const scope = { server, table: qualifiedTable(database, name), partition, retry };
    const expired = await expiredSourceTtls(scope, engines.get(name)?.createQuery ?? "");
    warnings.push(...expired.map((ttl) => describeSourceTtl(name, ttl)));
  }
  return warnings;
}

async function waitForMutations(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
  listener: PreflightListener,
): Promise<void> {
  const { database } = options.connection;
  const { source, traces, target } = options.tables;
  for (const mutation of await unfinishedMutations(server, database, [target], retry)) {
    listener.onWarning(
      `${describeMutation(mutation)}. It also changes rows that this run inserts before it ends`,
    );
  }
  await waitUntilNone(
    "mutations",
    "Waiting for unfinished mutations",
    options.maxWaitMs,
    retry,
    listener,
    async () => {
      const mutations = await unfinishedMutations(server, database, [source, traces], retry);
      return mutations.map(describeMutation);
    },
  );
}

async function waitForReplicas(
  server: Server,
  options: BackfillOptions,
  retry: RetryPolicy,
  listener: PreflightListener,
  purpose: Purpose,
): Promise<void> {
  const { database } = options.connection;
  const { source, traces, target } = options.tables;
  // A target that lags would be compared as it was.
  const names = purpose === "compare" ? [source, traces, target] : [source, traces];
  await waitUntilNone("replication", "Waiting for replicas", options.maxWaitMs, retry, listener, async () => {
    const states = await replicaStates(server, database, names, retry);
    if (states !== null) return states.flatMap((state) => replicaLag(state) ?? []);
    listener.onWarning(
      "system.replicas cannot be read: whether this replica has caught up is not known. Grant SELECT on it, or name a replica that has",
    );
    return [];
  });
}

/** Checks again and again, with growing pauses, until nothing is left to wait for. */
async function waitUntilNone(
  reason: WaitNotice["reason"],
  operation: string,
  maxWaitMs: number,
  retry: RetryPolicy,
  { onWait }: PreflightListener,
  ask: () => Promise<string[]>,
): Promise<void> {
  const sinceMs = performance.now();
  for (let pauses = 0; ; pauses++) {
    const left = await ask();
    if (left.length === 0) return;
    const leftMs = maxWaitMs - (performance.now() - sinceMs);
    if (leftMs <= 0) {
      throw new RunError(
        [`${operation}: after ${minutes(maxWaitMs)} there still are some`, ...left, ADVICE[reason]].join(
          "\n",
        ),
      );
    }
    const delayMs = Math.min(backoffMs(pauses, Math.random(), FIRST_WAIT_MS), Math.ceil(leftMs));
    onWait({ reason, operation, delayMs, message: left.join("; ") });
    await pause(delayMs, retry.signal);
  }
}

const ADVICE: Readonly<Record<WaitNotice["reason"], string>> = {
  merges: "",
  mutations:
    "Until they are done, parts hold rows as they were before and after. Let them end (SYSTEM START MERGES), or KILL MUTATION, or give a longer --max-wait-minutes.",
  replication:
    "Until it has caught up, rows may be missing here. Name another replica with --clickhouse-url, or give a longer --max-wait-minutes.",
};

function minutes(ms: number): string {
  const count = ms / 60_000;
  return count === 1 ? "1 minute" : `${count} minutes`;
}
