import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FinishedPages } from "../../src/checkpoint/done-keys.ts";
import { remainingRanges } from "../../src/checkpoint/done-keys.ts";
import type { RunFingerprint } from "../../src/checkpoint/fingerprint.ts";
import { openReadOnlyLedger } from "../../src/checkpoint/ledger.ts";
import { statePath } from "../../src/checkpoint/paths.ts";
import {
  type CheckpointState,
  parseState,
  serializeState,
  UnreadableStateError,
} from "../../src/checkpoint/state.ts";
import { EXIT_CODES, exitCodeOf } from "../../src/errors.ts";
import { compareKeys, type KeyRange, type SortingKey } from "../../src/plan/key-range.ts";
import type { Random } from "../support/data/random.ts";
import { pagesBetween, randomKeys } from "../unit/checkpoint/keys.ts";
import { mutated } from "./mutate.ts";
import { demand, type FuzzTarget } from "./target.ts";

const PARTITION = "202501";
const FINGERPRINT: RunFingerprint = {
  server: "http://localhost:8123",
  database: "default",
  source_table: "observations",
  traces_table: "traces",
  target_table: "events",
  trace_window_days: 2,
};
const ODD: readonly unknown[] = [
  ...[
    null,
    true,
    0,
    -1,
    0.5,
    1e21,
    Number.POSITIVE_INFINITY,
    "",
    "x",
    [],
    {},
    [[]],
    "2025-02-30",
    "2025-01-15",
    "2025-02-30T00:00:00Z",
    "2025-12-31T23:59:60Z",
    "2025-01-01T24:00:00.000Z",
    "0000-01-01T00:00:00Z",
    "2025-01-15T10:00:00+01",
    "202501",
  ],
  ...[
    { project_id: "a", type: "b", date: "2025-01-15", id: "c" },
    "\ud800",
    "9".repeat(400),
    { __proto__: null },
  ],
];

/** The text of a state of some pages, now and then as older deployments wrote it. */
function stateText(random: Random): string {
  const keys = randomKeys(random, random.below(7));
  const pages = pagesBetween({ after: null, upTo: null }, keys);
  const [first, ...others] = pages;
  const done = others.filter(() => random.chance(0.5)).map((page) => ({ ...page, rows: random.below(1000) }));
  const cursor = random.chance(0.7) ? (first?.upTo ?? null) : null;
  const state: CheckpointState & { fingerprint: RunFingerprint } = {
    partition: PARTITION,
    done: { cursor, beyondCursor: done },
    rowsProcessed: random.below(10_000),
    readSinceMs: random.chance(0.5) ? random.below(2 ** 31) * 1000 : null,
    finished: random.chance(0.1),
    rowsPerSecond: random.below(2) === 0 ? null : random.below(1_000_000),
    targetRows: random.chance(0.3) ? random.below(10_000) : null,
    fingerprint: FINGERPRINT,
    layout: random.pick(["events", "v4", null]),
  };
  const text = serializeState(state, new Date(random.below(2 ** 31) * 1000));
  if (random.chance(0.8)) return text;
  const { partition, rows_processed, last_updated } = JSON.parse(text) as Record<string, unknown>;
  const legacy = {
    partition,
    cursor: (JSON.parse(text) as Record<string, unknown>)["cursor"],
    rows_processed,
  };
  return JSON.stringify({ ...legacy, last_updated });
}

/** Changes the document rather than its text: members go, come twice, change places or get a value that is odd. */
function changedDocument(random: Random, text: string): string {
  const document = JSON.parse(text) as unknown;
  const holders: Record<string, unknown>[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    holders.push(value as Record<string, unknown>);
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(document);
  for (let left = 1 + random.below(3); left > 0; left--) {
    const [holder, other] = [random.pick(holders), random.pick(holders)];
    const names = Object.keys(holder);
    const name = random.chance(0.9) && names.length > 0 ? random.pick(names) : "unknown";
    const values = Object.values(other);
    const change = random.below(3);
    if (change === 0) delete holder[name];
    else if (change === 1) holder[name] = random.pick(ODD);
    else if (values.length > 0) holder[name] = structuredClone(random.pick(values));
  }
  return JSON.stringify(document);
}

/** The document as its text says, read without anything of the program's. */
interface Document {
  readonly cursor: JsonKey | null;
  readonly finished?: boolean;
  readonly pages_beyond_cursor?: readonly {
    readonly after: JsonKey | null;
    readonly up_to: JsonKey | null;
  }[];
}

interface JsonKey {
  readonly project_id: string;
  readonly type: string;
  readonly date: string;
  readonly id: string;
}

function sortingKey({ project_id, type, date, id }: JsonKey): SortingKey {
  return { projectId: project_id, type, date, id };
}

/** Whether the document says that a key is done. */
function saysDone(document: Document, key: SortingKey): boolean {
  const isUpTo = (bound: JsonKey | null): boolean =>
    bound === null || compareKeys(key, sortingKey(bound)) <= 0;
  const isAfter = (bound: JsonKey | null): boolean =>
    bound === null || compareKeys(key, sortingKey(bound)) > 0;
  if (document.cursor !== null && isUpTo(document.cursor)) return true;
  return (document.pages_beyond_cursor ?? []).some(({ after, up_to }) => isAfter(after) && isUpTo(up_to));
}

/** What remains is what the document does not say is done: not one key more or less. */
function checkCovers(
  random: Random,
  text: string,
  remaining: readonly KeyRange[],
  pages: readonly FinishedPages[],
): void {
  const document = JSON.parse(text) as Document;
  const bounds = pages.flatMap(({ after, upTo }) => [after, upTo]).filter((bound) => bound !== null);
  for (const key of [...randomKeys(random, 5), ...bounds]) {
    const isLeft = remaining.some(
      ({ after, upTo }) =>
        (after === null || compareKeys(key, after) > 0) && (upTo === null || compareKeys(key, upTo) <= 0),
    );
    demand(
      isLeft !== saysDone(document, key),
      () => `${JSON.stringify(key)} is ${isLeft ? "" : "not "}left, by ${text}`,
    );
  }
}

function checkParsed(random: Random, text: string): void {
  let state: CheckpointState;
  try {
    state = parseState(text);
  } catch (error) {
    if (!(error instanceof UnreadableStateError)) throw error;
    demand(error.message.length < 1000, () => `A message of ${error.message.length} characters`);
    return;
  }
  checkCovers(random, text, remainingRanges(state.done), state.done.beyondCursor);
  // What is read is written again with the next page.
  const again = parseState(serializeState({ ...state, fingerprint: FINGERPRINT }, new Date(0)));
  demand(
    JSON.stringify(again.done) === JSON.stringify(state.done),
    () => `${text} changes when it is written again`,
  );
}

const directory = mkdtempSync(join(tmpdir(), "fuzz-checkpoint-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

/** The same by the file, which may hold any bytes. */
function checkFile(random: Random, bytes: Buffer): void {
  writeFileSync(statePath(directory, PARTITION), bytes);
  try {
    const ledger = openReadOnlyLedger({ directory, partition: PARTITION, fingerprint: FINGERPRINT });
    const { finished } = JSON.parse(bytes.toString()) as Document;
    demand(ledger.finished === (finished ?? false), () => "Another state than the file's");
    if (!ledger.finished) checkCovers(random, bytes.toString(), ledger.remaining(), []);
  } catch (error) {
    if (exitCodeOf(error) !== EXIT_CODES.checkpoint) throw error;
  }
}

/** A checkpoint, whatever happened to the file, is refused or read for what it says. */
export const CHECKPOINT: FuzzTarget = {
  name: "checkpoint",
  share: 60_000,
  run: (random) => {
    const text = stateText(random);
    if (random.chance(0.05)) return checkParsed(random, text);
    if (random.chance(0.5)) return checkParsed(random, changedDocument(random, text));
    const bytes = mutated(random, Buffer.from(text));
    if (random.chance(0.2)) checkFile(random, bytes);
    else checkParsed(random, bytes.toString());
  },
};
