import { TYPES } from "./oddities.ts";
import type { Random } from "./random.ts";
import type { Text } from "./row-binary.ts";
import type { NewerObservationRow } from "./rows.ts";
import { projectId, type TraceName } from "./traces.ts";
import {
  bytesKey,
  costs,
  DAY_MS,
  id,
  MONTH_END_MS,
  MONTH_START_MS,
  maybe,
  metadata,
  prose,
  seldomOdd,
  toBytes,
  usage,
} from "./values.ts";

export interface ObservationShares {
  /** Rows whose events share the target's sorting key with another's, although the observations are two. */
  readonly collidingEvents: boolean;
  /** How many have an input of 5 MB. */
  readonly largeInputs: number;
}

/** The group that holds half of the month. */
const HUGE_GROUP = { type: "GENERATION", dayStartMs: MONTH_START_MS + 14 * DAY_MS };
const LARGE_INPUT_BYTES = 5_000_000;

/** What makes the versions of an observation one: the sorting key, with a time on its day. */
interface Identity {
  readonly id: Text;
  readonly projectId: Text;
  readonly type: Text;
  readonly startTime: number;
  readonly traceId: Text;
}

/** Rows of `count` observations: old versions, ties, deletions and rows of the neighbouring months among them. */
export function makeObservations(
  random: Random,
  count: number,
  traces: readonly TraceName[],
  shares: ObservationShares,
): NewerObservationRow[] {
  const rows: NewerObservationRow[] = [];
  const identities: Identity[] = [];
  for (let i = 0; i < count; i++) {
    const identity = nextIdentity(random, traces, identities);
    identities.push(identity);
    const versions = versionsOf(random, identity);
    if (i < shares.largeInputs)
      versions.push({ ...lastOf(versions), input: prose(random, LARGE_INPUT_BYTES) });
    rows.push(...versions);
    if (shares.collidingEvents && random.chance(0.02)) {
      const collides = row(random, { ...identity, type: identity.type === "SPAN" ? "EVENT" : "SPAN" });
      // Unequal, or chance would decide which of the two the target keeps.
      rows.push({ ...collides, event_ts: lastOf(versions).event_ts + 1_000_000_007 });
    }
  }
  return shares.collidingEvents ? rows : withoutCollisions(rows);
}

function nextIdentity(random: Random, traces: readonly TraceName[], earlier: readonly Identity[]): Identity {
  const isHuge = random.chance(0.5);
  const trace = traces.length > 0 && random.chance(0.96) ? random.pick(traces) : null;
  const traceId = trace?.id ?? (random.chance(0.5) ? "" : id(random));
  const twin = earlier.length > 0 && random.chance(0.03) ? random.pick(earlier) : null;
  const isRoot = random.chance(0.06);
  return {
    id: isRoot ? Buffer.concat([toBytes("t-"), toBytes(traceId)]) : (twin?.id ?? id(random)),
    projectId: isHuge ? "clq7vm3zk0001" : (trace?.projectId ?? projectId(random)),
    type: isHuge ? HUGE_GROUP.type : random.pick(TYPES),
    startTime: isHuge ? HUGE_GROUP.dayStartMs + random.below(DAY_MS) : startTime(random),
    traceId,
  };
}

function startTime(random: Random): number {
  const dice = random.below(100);
  if (dice === 0) return MONTH_START_MS;
  if (dice === 1) return MONTH_END_MS - 1;
  if (dice === 2) return MONTH_START_MS - 1;
  if (dice === 3) return MONTH_END_MS;
  if (dice === 4) return MONTH_START_MS - random.below(20 * DAY_MS);
  return MONTH_START_MS + random.below(MONTH_END_MS - MONTH_START_MS);
}

function versionsOf(random: Random, identity: Identity): NewerObservationRow[] {
  const first = row(random, identity);
  const day = identity.startTime - (identity.startTime % DAY_MS);
  const again = (change: Partial<NewerObservationRow>): NewerObservationRow => {
    const movesInDay = random.chance(0.3);
    return {
      ...row(random, movesInDay ? { ...identity, startTime: day + random.below(DAY_MS) } : identity),
      ...change,
    };
  };
  const later = first.event_ts + 1 + random.below(1_000_000);
  const dice = random.below(100);
  if (dice < 10) return [first, again({ event_ts: later })];
  if (dice < 13) return [first, again({ event_ts: later, is_deleted: true })];
  // Equal event_ts: the row inserted last counts, also when it is the deletion.
  if (dice < 17) return [first, again({ event_ts: first.event_ts })];
  if (dice < 18) return [first, again({ event_ts: first.event_ts, is_deleted: true })];
  if (dice < 19) {
    return [first, again({ event_ts: later, is_deleted: true }), again({ event_ts: later + 3 })];
  }
  return [first];
}

function row(
  random: Random,
  { id: own, projectId, type, startTime, traceId }: Identity,
): NewerObservationRow {
  const written = startTime + random.below(60_000);
  const endTime = startTime + random.below(30_000);
  return {
    id: own,
    trace_id: traceId,
    project_id: projectId,
    environment: random.pick(["default", "default", "production", "", "größe"]),
    type,
    parent_observation_id: maybe(random, () => id(random)),
    start_time: startTime,
    end_time: random.chance(0.2) ? null : endTime,
    name: seldomOdd(random, () => `step ${random.below(100)}`),
    metadata: metadata(random),
    level: random.pick(["DEFAULT", "DEBUG", "WARNING", "ERROR", ""]),
    status_message: maybe(random, () => "rate limited, tried again"),
    version: maybe(random, () => `observation version ${random.below(9)}`),
    input: maybe(random, () => prose(random, random.below(800))),
    output: maybe(random, () => prose(random, random.below(800))),
    provided_model_name: maybe(random, () => random.pick(["gpt-4o", "claude-sonnet-4", "mistral-large"])),
    internal_model_id: maybe(random, () => random.hex(12)),
    model_parameters: maybe(random, () => `{"temperature":${random.below(10) / 10},"max_tokens":4096}`),
    provided_usage_details: usage(random),
    usage_details: usage(random),
    provided_cost_details: costs(random),
    cost_details: costs(random),
    total_cost: random.chance(0.5) ? null : BigInt(random.below(10 ** 9)),
    completion_start_time: random.chance(0.5) ? null : endTime - 1,
    prompt_id: maybe(random, () => random.hex(12)),
    prompt_name: maybe(random, () => "response politely"),
    prompt_version: random.pick([null, null, 0, 1, 7, 65_535]),
    created_at: written,
    updated_at: written + random.below(1000),
    event_ts: written,
    is_deleted: false,
    usage_pricing_tier_id: maybe(random, () => random.hex(12)),
    usage_pricing_tier_name: maybe(random, () => "Standard"),
    tool_definitions: random.chance(0.7)
      ? []
      : [
          ["search", '{"type":"object"}'],
          ["", seldomOdd(random, () => "{}")],
        ],
    tool_calls: random.chance(0.7) ? [] : ['{"id":"call_1","arguments":"{}"}', seldomOdd(random, () => "{}")],
    tool_call_names: random.chance(0.7) ? [] : ["search", seldomOdd(random, () => "lookup")],
  };
}

/** Leaves out observations whose event could take the place of another observation's event in the target. */
export function withoutCollisions(rows: readonly NewerObservationRow[]): NewerObservationRow[] {
  const owners = new Map<string, string>();
  const losers = new Set<string>();
  const sourceKey = (row: NewerObservationRow): string =>
    bytesKey(row.project_id, row.type, Math.floor(row.start_time / DAY_MS), row.id);
  for (const row of rows) {
    const eventKey = bytesKey(row.project_id, row.start_time, row.trace_id, row.id);
    const owner = owners.get(eventKey) ?? sourceKey(row);
    owners.set(eventKey, owner);
    if (owner !== sourceKey(row)) losers.add(sourceKey(row));
  }
  return rows.filter((row) => !losers.has(sourceKey(row)));
}

function lastOf<Item>(items: readonly Item[]): Item {
  const last = items.at(-1);
  if (last === undefined) throw new Error("No items");
  return last;
}
