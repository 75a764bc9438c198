import { ODD_TAGS, PROJECT_IDS } from "./oddities.ts";
import type { Random } from "./random.ts";
import type { Text } from "./row-binary.ts";
import type { TraceRow } from "./rows.ts";
import { DAY_MS, id, MONTH_END_MS, MONTH_START_MS, maybe, metadata, prose, seldomOdd } from "./values.ts";

/** What an observation needs to know of the trace it belongs to. */
export interface TraceName {
  readonly projectId: Text;
  readonly id: Text;
}

const WINDOW_MS = 2 * DAY_MS;

/** The edges of the month and of the window of two days around it. */
const EDGES_MS: readonly number[] = [
  MONTH_START_MS,
  MONTH_START_MS - 1,
  MONTH_END_MS,
  MONTH_END_MS - 1,
  MONTH_START_MS - WINDOW_MS,
  MONTH_START_MS - WINDOW_MS - 1,
  MONTH_END_MS + WINDOW_MS,
  MONTH_END_MS + WINDOW_MS - 1,
];

/** Traces that exist or should exist, and the rows of those that do: versions, deletions, moves to another day. */
export function makeTraces(random: Random, count: number): { names: TraceName[]; rows: TraceRow[] } {
  const names: TraceName[] = [];
  const rows: TraceRow[] = [];
  for (let i = 0; i < count; i++) {
    const name: TraceName = { projectId: projectId(random), id: traceId(random, names) };
    names.push(name);
    if (!random.chance(0.03)) rows.push(...versions(random, name));
  }
  return { names, rows };
}

/** Projects of very unequal size. */
export function projectId(random: Random): Text {
  return random.chance(0.6) ? (PROJECT_IDS[0] as Text) : random.pick(PROJECT_IDS);
}

function traceId(random: Random, names: readonly TraceName[]): Text {
  // The same id in two projects, most likely.
  return names.length > 0 && random.chance(0.05) ? random.pick(names).id : id(random);
}

function timestamp(random: Random): number {
  if (random.chance(0.04)) return random.pick(EDGES_MS);
  if (random.chance(0.04)) return MONTH_START_MS - random.below(6 * DAY_MS);
  if (random.chance(0.04)) return MONTH_END_MS + random.below(6 * DAY_MS);
  return MONTH_START_MS + random.below(MONTH_END_MS - MONTH_START_MS);
}

function versions(random: Random, name: TraceName): TraceRow[] {
  const first = row(random, name, timestamp(random));
  const day = first.timestamp - (first.timestamp % DAY_MS);
  const again = (change: Partial<TraceRow>): TraceRow => ({
    ...row(random, name, day + random.below(DAY_MS)),
    ...change,
  });
  const later = first.event_ts + 1 + random.below(1_000_000);
  const otherDay = first.timestamp + random.pick([-3, -1, 1, 2]) * DAY_MS;
  const dice = random.below(100);
  if (dice < 10) return [first, again({ event_ts: later })];
  // Equal event_ts in one sorting key: the row inserted last counts.
  if (dice < 13) return [first, again({ event_ts: first.event_ts })];
  if (dice < 16) return [first, again({ event_ts: later, is_deleted: true })];
  if (dice < 18) return [first, again({ event_ts: first.event_ts, is_deleted: true })];
  if (dice < 20) {
    return [first, again({ event_ts: later, is_deleted: true }), again({ event_ts: later + 5 })];
  }
  // The timestamp changed, and with it the sorting key: FINAL shows both.
  if (dice < 24) return [first, again({ timestamp: otherDay, event_ts: later })];
  if (dice < 26) return [first, again({ timestamp: otherDay, event_ts: first.event_ts })];
  if (dice < 28) return [first, again({ timestamp: otherDay, event_ts: later, is_deleted: true })];
  if (dice < 29) return [first, again({ timestamp: otherDay, event_ts: first.event_ts, is_deleted: true })];
  if (dice < 30)
    return [first, again({ timestamp: otherDay, event_ts: first.event_ts - 9, is_deleted: true })];
  return [first];
}

function row(random: Random, name: TraceName, time: number): TraceRow {
  const written = time + random.below(60_000);
  return {
    id: name.id,
    timestamp: time,
    name: seldomOdd(random, () => `trace ${random.below(50)}`),
    user_id: maybe(random, () => `user-${random.below(500)}`),
    metadata: metadata(random),
    release: maybe(random, () => `v${random.below(9)}.${random.below(9)}`),
    version: maybe(random, () => `trace version ${random.below(9)}`),
    project_id: name.projectId,
    environment: random.pick(["default", "production", ""]),
    public: random.chance(0.3),
    bookmarked: random.chance(0.5),
    tags: Array.from({ length: random.below(4) }, () => random.pick(ODD_TAGS)),
    input: maybe(random, () => prose(random, 100)),
    output: maybe(random, () => prose(random, 100)),
    session_id: maybe(random, () => `session-${random.hex(8)}`),
    created_at: written,
    updated_at: written + random.below(1000),
    event_ts: written,
    is_deleted: false,
  };
}
