import type { TestServer } from "../../scripts/testbed/server.ts";
import type { DifferenceKind } from "../../src/verify/classify.ts";
import type { VerifyResult } from "../../src/verify/verify.ts";

/** The month of a target in which differences are planted. */
export interface Place {
  readonly database: string;
  readonly target: string;
  readonly partition: string;
  /** Decides which rows are taken. */
  readonly seed: number;
}

/** A row of the target to be tampered with. */
export interface Victim {
  readonly project_id: string;
  readonly trace_id: string;
  readonly span_id: string;
  readonly time: string;
}

/** A difference that was planted, and what must be found. */
export interface Plant {
  readonly kind: DifferenceKind;
  readonly span: string;
  readonly columns: readonly string[];
}

/** What becomes of a row: another value of one column, as an expression on the row `e`. */
export interface Change {
  readonly victim: Victim;
  readonly column: string;
  readonly sql: string;
}

/** Plants differences in rows that it picks one after another, each in a row of its own. */
export class Planter {
  readonly #server: TestServer;
  readonly #place: Place;
  readonly plants: Plant[] = [];
  readonly #taken = new Set<string>();
  readonly #candidates = new Map<string, Victim[]>();

  constructor(server: TestServer, place: Place) {
    this.#server = server;
    this.#place = place;
  }

  async victim(condition: string): Promise<Victim> {
    const rows = this.#candidates.get(condition) ?? (await this.#rowsFor(condition));
    this.#candidates.set(condition, rows);
    const row = rows.find(({ span_id }) => !this.#taken.has(span_id));
    if (row === undefined) throw new Error(`No row left for which ${condition}`);
    this.#taken.add(row.span_id);
    return row;
  }

  async #rowsFor(condition: string): Promise<Victim[]> {
    // Rows of one span must not be taken for each other.
    const { database, target, partition, seed } = this.#place;
    return await this.#server.queryJson<Victim>(
      `SELECT project_id, trace_id, span_id, toString(start_time) AS time FROM ${target} FINAL
       WHERE toYYYYMM(start_time) = ${partition} AND isValidUTF8(project_id) AND isValidUTF8(trace_id) AND isValidUTF8(span_id)
         AND notEmpty(span_id) AND span_id IN (SELECT span_id FROM ${target} GROUP BY span_id HAVING uniqExact(project_id, trace_id, start_time) = 1)
         AND (${condition})
       ORDER BY cityHash64(span_id, ${seed}) LIMIT 1000`,
      { database },
    );
  }

  /** Inserts the victims again, each with another value of one column. */
  async insert(changes: readonly Change[]): Promise<void> {
    const { database, target, partition } = this.#place;
    const params = Object.fromEntries(changes.map(({ victim }, i) => [`span${i}`, victim.span_id]));
    const items = [...Map.groupBy(changes.entries(), ([, { column }]) => column)].map(([column, group]) => {
      const branches = [...group].map(([i, { sql }]) => `e.span_id = {span${i}:String}, ${sql}`);
      return `multiIf(${branches.join(", ")}, e.${column}) AS ${column}`;
    });
    const spans = Object.keys(params).map((name) => `{${name}:String}`);
    await this.#server.command(
      `INSERT INTO ${target} SELECT * REPLACE (${items.join(", ")}) FROM ${target} AS e FINAL
       WHERE toYYYYMM(e.start_time) = ${partition} AND e.span_id IN (${spans.join(", ")})`,
      { database, params, settings: { optimize_on_insert: 0 } },
    );
  }

  async delete(victims: readonly Victim[]): Promise<void> {
    const { database, target } = this.#place;
    const params = Object.fromEntries(victims.map(({ span_id }, i) => [`span${i}`, span_id]));
    const spans = Object.keys(params).map((name) => `{${name}:String}`);
    await this.#server.command(`ALTER TABLE ${target} DELETE WHERE span_id IN (${spans.join(", ")})`, {
      database,
      params,
      settings: { mutations_sync: 2 },
    });
  }

  plant(kind: DifferenceKind, span: string, columns: readonly string[] = []): void {
    this.plants.push({ kind, span, columns });
  }
}

/** An expression with another value than the column `name` of `e` has. */
export function otherValue(name: string, type: string): string {
  const value = `e.${name}`;
  if (type === "String") return `concat(${value}, '!')`;
  if (type.startsWith("LowCardinality(")) return `CAST(concat(${value}, '!') AS ${type})`;
  if (type.startsWith("JSON")) return `CAST('{"planted":1}' AS ${type})`;
  if (type.startsWith("Nullable(DateTime64")) return `if(isNull(${value}), e.start_time, NULL)`;
  if (type.startsWith("Nullable(String")) return `if(isNull(${value}), '!', NULL)`;
  if (type.startsWith("Nullable(")) return `if(isNull(${value}), 1, NULL)`;
  if (type.startsWith("DateTime64")) return `${value} + INTERVAL 1 MILLISECOND`;
  if (type.startsWith("Array(")) return `arrayPushBack(${value}, '!')`;
  if (type === "Map(String, String)") return `mapConcat(${value}, map('!', '!'))`;
  if (type.startsWith("Map(")) return `CAST(mapConcat(${value}, map('!', 1)) AS ${type})`;
  if (type === "Bool") return `NOT ${value}`;
  return `${value} + 1`;
}

export const KEY: readonly string[] = ["project_id", "trace_id", "span_id", "start_time"];
/** A version of its own, or no row at all. */
export const APART: readonly string[] = ["event_ts", "is_deleted"];

export async function columnTypes(
  server: TestServer,
  { database, target }: Pick<Place, "database" | "target">,
  columns: readonly string[],
): Promise<[string, string][]> {
  const rows = await server.queryJson<{ name: string; type: string }>(
    "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {target:String}",
    { params: { database, target } },
  );
  return rows.filter(({ name }) => columns.includes(name)).map(({ name, type }) => [name, type]);
}

/** The plants, and what was found, in one order and with their columns in one. */
export function inOrder(plants: readonly Plant[]): Plant[] {
  const text = ({ kind, span }: Plant): string => `${kind} ${span}`;
  return plants
    .map((plant) => ({ ...plant, columns: [...plant.columns].sort() }))
    .sort((a, b) => Number(text(a) > text(b)) - Number(text(a) < text(b)));
}

/** What a verification showed as examples. */
export function shown(examples: VerifyResult["examples"]): Plant[] {
  return examples.map(({ kind, key, columns }) => ({ kind, span: key["span_id"] ?? "", columns }));
}
