import { withRetry } from "../clickhouse/retry.ts";
import type { QueryParams } from "../clickhouse/server.ts";
import { TransportError } from "../clickhouse/server-errors.ts";
import { hasJson, JSON_COLUMN, METADATA_ITEMS } from "../mapping/enrichment-sql.ts";
import { type CellGroup, cellOf, describeSpan, spanOver } from "./cells.ts";
import { classify, type DifferenceKind } from "./classify.ts";
import {
  type CellSpan,
  type ComparedRows,
  digestsSql,
  expectedRows,
  hasKey,
  IS_EXACT,
  isOursSql,
  type JsonHash,
  KEY_DIGEST,
  keyTextsSql,
  microsSql,
  namedKey,
  SPAN_COLUMNS,
  spanCondition,
  targetRows,
} from "./compared-rows.ts";
import { targetConditions } from "./fingerprints.ts";
import { jsonThatIsSame } from "./json-rows.ts";
import { type PairedRows, pairsSql, type RowPair, rowPair } from "./row-pairs.ts";
import type { VerifyScope } from "./scope.ts";

/** Rows of a side that the server holds at once: some hundred bytes each. */
const HELD_ROWS = 1_000_000;
/** Rows whose columns one query reads: each takes a place in its text. */
const DETAILED_ROWS = 1_000;
/** Rows whose JSON is compared at a time. */
const JSON_ROWS = 1_000;

/** A row that differs, for people to look at. */
export interface Example {
  readonly kind: DifferenceKind;
  readonly key: Readonly<Record<string, string>>;
  /** The columns that differ; none where only one side has the row. */
  readonly columns: readonly string[];
}

/** How many rows differ, by their cells as text. */
export type DifferenceCounts = Map<string, Map<DifferenceKind, number>>;

/** What was found in a group of cells. */
export interface GroupDifferences {
  readonly counts: DifferenceCounts;
  readonly examples: readonly Example[];
  /** Rows that are alike but for JSON that the server's SQL cannot compare for certain: this program compared it. */
  readonly comparedHere: number;
}

/** What to report of differences. */
export interface DifferenceOptions {
  readonly ignoreNewer: boolean;
  /** The most examples of a kind. */
  readonly examples: number;
  /** The values of `source` that a run writes. */
  readonly sources: readonly string[];
}

/** Looks for the rows that make the cells of a group differ. Rejects with an OperationError, or with the signal's reason. */
export async function findDifferences(
  scope: VerifyScope,
  group: CellGroup,
  options: DifferenceOptions,
): Promise<GroupDifferences> {
  const parts = Math.max(1, Math.ceil(group.rows / HELD_ROWS));
  const counts: DifferenceCounts = new Map();
  const examples: Example[] = [];
  let comparedHere = 0;
  for (let part = 0; part < parts; part++) {
    const found = await withRetry(`Comparing ${describeSpan(group)}`, scope.retry, () =>
      comparePart(scope, { span: group, part, parts }, options),
    );
    for (const [cell, ofCell] of found.counts) {
      for (const [kind, rows] of ofCell) countDifference(counts, cell, kind, rows);
    }
    examples.push(...found.examples);
    comparedHere += found.comparedHere;
  }
  return { counts, examples, comparedHere };
}

/** Adds to the number of rows of a cell that differ. */
export function countDifference(
  counts: DifferenceCounts,
  cell: string,
  kind: DifferenceKind,
  rows: number,
): void {
  const ofCell = counts.get(cell) ?? new Map<DifferenceKind, number>();
  ofCell.set(kind, (ofCell.get(kind) ?? 0) + rows);
  counts.set(cell, ofCell);
}

/** A share of a span's rows. */
interface SpanPart {
  readonly span: CellSpan;
  readonly part: number;
  readonly parts: number;
}

/**
 * Compares JSON by how it is stored, at first. Where more rows differ in it alone than are looked at at a time, it is compared by its text
 * in all rows, which then takes less time.
 */
async function comparePart(
  scope: VerifyScope,
  part: SpanPart,
  options: DifferenceOptions,
  json: JsonHash = "stored",
): Promise<GroupDifferences> {
  const keys = new Map<DifferenceKind, string[]>();
  const counts: DifferenceCounts = new Map();
  const note = (kind: DifferenceKind, key: string, cell: string): void => {
    countDifference(counts, cell, kind, 1);
    const known = keys.get(kind) ?? [];
    keys.set(kind, known);
    if (known.length < options.examples) known.push(key);
  };
  /** The cells of rows by their keys. */
  const uncertain = new Map<string, string>();
  const areMany = (): boolean => json === "stored" && uncertain.size > JSON_ROWS;
  for await (const pair of differingPairs(scope, part, options.sources, json)) {
    const verdict = classify(pair, options.ignoreNewer);
    if (verdict === "json") uncertain.set(pair.key, pair.cell);
    else if (verdict !== "equal") note(verdict, pair.key, pair.cell);
    if (areMany()) break;
  }
  if (areMany()) return await comparePart(scope, part, options, "text");
  const same = await sameJson(scope, part, uncertain);
  for (const [key, cell] of uncertain) if (!same.has(key)) note("differing", key, cell);
  return { counts, examples: await examplesOf(scope, part, keys), comparedHere: uncertain.size };
}

/** Which of the rows, whose cells are given, have the JSON that a run inserts. Those of neighbouring cells are read together. */
async function sameJson(
  scope: VerifyScope,
  part: SpanPart,
  cellsOfKeys: ReadonlyMap<string, string>,
): Promise<ReadonlySet<string>> {
  const same = new Set<string>();
  const sorted = [...cellsOfKeys].sort(([, a], [, b]) => Number(a > b) - Number(a < b));
  for (let at = 0; at < sorted.length; at += JSON_ROWS) {
    const chunk = sorted.slice(at, at + JSON_ROWS);
    const span = spanOver(chunk.map(([, cell]) => cellOf(cell)));
    const keys = chunk.map(([key]) => key);
    for (const key of await sameCellJson(scope, { ...part, span }, keys)) same.add(key);
  }
  return same;
}

async function sameCellJson(
  scope: VerifyScope,
  part: SpanPart,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const phase = scope.phases.findIndex(({ mapping }) => hasJson(mapping));
  const kept = scope.phases[phase]?.mapping.keptJson;
  const { expected, actual, where } = cellSides(scope, part, phase);
  const rows = expected[phase];
  const isCompared = scope.columns.some(({ name }) => name === JSON_COLUMN);
  if (!isCompared || keys.length === 0 || kept === undefined || rows === undefined) return new Set();
  return await jsonThatIsSame(scope, { expected: rows, actual, where }, keys, kept);
}

/** The rows of a span's part. */
interface CellSides {
  /** Those of each phase. */
  readonly expected: readonly ComparedRows[];
  readonly actual: ComparedRows;
  /** A condition on a row `r` of either side. */
  readonly where: string;
}

/** The rows of phase `withMetadata` have the columns of `METADATA_ITEMS`. */
function cellSides(scope: VerifyScope, { span, part, parts }: SpanPart, withMetadata = -1): CellSides {
  return {
    expected: scope.phases.map(({ mapping, enrichment }, i) => {
      const condition = spanCondition(SPAN_COLUMNS[enrichment.phase], span);
      return expectedRows(
        mapping,
        enrichment,
        condition,
        scope.columns,
        i === withMetadata ? METADATA_ITEMS : [],
      );
    }),
    actual: targetRows(
      scope.target,
      scope.columns,
      targetConditions(scope, spanCondition(SPAN_COLUMNS.target, span)),
    ),
    where: parts === 1 ? "1" : `cityHash64(r.span_id) % ${parts} = ${part}`,
  };
}

async function* differingPairs(
  scope: VerifyScope,
  part: SpanPart,
  sources: readonly string[],
  json: JsonHash,
): AsyncGenerator<RowPair, void, void> {
  const { server, columns, settings, retry } = scope;
  const { expected, actual, where } = cellSides(scope, part);
  const isDecided = json === "text" ? `r.${IS_EXACT}` : "0";
  const sides: PairedRows[] = [
    ...expected.map((rows): PairedRows => ({ side: "expected", ...rows, isCertain: isDecided })),
    { side: "actual", ...actual, isCertain: isOursSql(columns, sources) },
  ];
  const params = Object.assign({}, ...sides.map((side) => side.params)) as QueryParams;
  const sql = pairsSql(sides, columns, where, json);
  for await (const row of server.rows({ kind: "count", sql, params, settings }, retry.signal))
    yield rowPair(row);
}

/** A row's key as text, and a digest of each column. */
interface DetailedRow {
  readonly key: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
}

async function examplesOf(
  scope: VerifyScope,
  part: SpanPart,
  keys: ReadonlyMap<DifferenceKind, readonly string[]>,
): Promise<Example[]> {
  const wanted = [...keys.values()].flat();
  const examples: Example[] = [];
  for (let at = 0; at < wanted.length; at += DETAILED_ROWS) {
    examples.push(...(await detailed(scope, part, keys, wanted.slice(at, at + DETAILED_ROWS))));
  }
  return examples;
}

async function detailed(
  scope: VerifyScope,
  part: SpanPart,
  keys: ReadonlyMap<DifferenceKind, readonly string[]>,
  wanted: readonly string[],
): Promise<Example[]> {
  const { expected, actual, where } = cellSides(scope, part);
  const [left, right] = [
    await detailedRows(scope, expected, where, wanted),
    await detailedRows(scope, [actual], where, wanted),
  ];
  const sameJson = await sameCellJson(
    scope,
    part,
    wanted.filter((key) => left.has(key) && right.has(key)),
  );
  const examples: Example[] = [];
  for (const [kind, ofKind] of keys) {
    for (const key of ofKind) {
      const [a, b] = [left.get(key), right.get(key)];
      const row = a ?? b;
      if (row === undefined) continue;
      const columns =
        a === undefined || b === undefined
          ? []
          : scope.columns
              .filter(
                ({ name }, i) =>
                  a.columns[i] !== b.columns[i] && !(name === JSON_COLUMN && sameJson.has(key)),
              )
              .map(({ name }) => name);
      examples.push({ kind, key: row.key, columns });
    }
  }
  return examples;
}

async function detailedRows(
  { server, retry, columns, settings }: VerifyScope,
  sides: readonly ComparedRows[],
  where: string,
  keys: readonly string[],
): Promise<Map<string, DetailedRow>> {
  const selects = sides.map(
    ({
      sql,
    }) => `SELECT hex(${KEY_DIGEST}) AS key, [${keyTextsSql()}], ${digestsSql(columns)}, ${microsSql("event_ts")} AS version
      FROM (${sql}) AS r WHERE ${where} AND ${hasKey(keys)}`,
  );
  const statement = {
    kind: "count",
    sql: `SELECT * FROM (${selects.join(" UNION ALL ")}) ORDER BY version`,
    params: Object.assign({}, ...sides.map(({ params }) => params)),
    settings,
  } as const;
  return await server.query("Reading the columns of rows that differ", statement, retry, (rows) => {
    // Of several rows of a key the newest comes last, and stays.
    return new Map(
      rows.map(([key, values, digestsOfColumns]) => {
        if (!Array.isArray(digestsOfColumns)) throw new TransportError("No columns came back");
        return [String(key), { key: namedKey(values), columns: digestsOfColumns.map(String) }];
      }),
    );
  });
}
