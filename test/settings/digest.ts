import { columnText } from "../../scripts/testbed/compare.ts";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import type { RunKind } from "./world.ts";

/** How many rows a table holds, and sums that differ between tables whose rows differ in any column. */
export interface Digest {
  readonly rows: number;
  /** Of all columns, JSON by its document. */
  readonly values: string;
  /** Of the paths and types of JSON columns; of a run by the server without the types within arrays. */
  readonly types: string;
}

/** Every stored row counts, with all of its columns, computed ones too. */
export async function tableDigest(
  server: TestServer,
  database: string,
  table: string,
  engine: RunKind["engine"],
): Promise<Digest> {
  const columns = await storedValues(server, database, table);
  const sum = (isType: boolean): string => {
    const ofKind = columns.filter((column) => column.startsWith(TYPES) === isType);
    const values = isType && engine === "server" ? ofKind.map(withoutElements) : ofKind;
    return `toString(sum(sipHash64(${["span_id", "start_time", ...values].join(", ")})))`;
  };
  const [digest] = await server.queryJson<Digest>(
    `SELECT count() AS rows, ${sum(false)} AS values, ${sum(true)} AS types FROM ${identifier(table)}`,
    { database },
  );
  if (digest === undefined) throw new Error("The digest yielded no row");
  return digest;
}

/** SQL of the columns in which the rows of two tables differ. */
export async function differingColumns(
  server: TestServer,
  database: string,
  one: string,
  other: string,
): Promise<string[]> {
  const values = await storedValues(server, database, one);
  const sums = values.map((value, i) => `sum(sipHash64(span_id, start_time, ${value})) AS s${i}`).join(", ");
  const read = async (table: string): Promise<string[]> =>
    (await server.query(`SELECT ${sums} FROM ${identifier(table)}`, { database })).trim().split("\t");
  const [left, right] = [await read(one), await read(other)];
  return values.filter((_, i) => left[i] !== right[i]);
}

const TIMES: readonly string[] = ["created_at", "updated_at", "event_ts"];
const IS_REACHED = "notEmpty(experiment_item_root_span_id)";
const TYPES = "toString(JSONAllPathsWithTypes";

/** The types without what is in arrays: where the server enriches rows, that follows from the order of a join. */
function withoutElements(types: string): string {
  return `replaceRegexpAll(${types}, 'Array[(][^\\']*', 'Array')`;
}

const COLUMNS = new Map<string, Promise<string[]>>();

/** SQL of the value of each stored column. All targets have the same columns, so that their names are read once. */
function storedValues(server: TestServer, database: string, table: string): Promise<string[]> {
  const known = COLUMNS.get(database);
  if (known !== undefined) return known;
  const values = readValues(server, database, table);
  COLUMNS.set(database, values);
  return values;
}

async function readValues(server: TestServer, database: string, table: string): Promise<string[]> {
  const columns = await server.queryJson<{ name: string; type: string }>(
    `SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String}
     AND default_kind NOT IN ('ALIAS', 'EPHEMERAL') ORDER BY position`,
    { params: { database, table } },
  );
  const hasExperiments = columns.some(({ name }) => name === "experiment_item_root_span_id");
  return columns.flatMap(({ name, type }) => {
    // Of rows that an item of a dataset run reaches, these are the time of writing.
    if (hasExperiments && TIMES.includes(name))
      return [`toString(if(${IS_REACHED}, NULL, ${identifier(name)}))`];
    if (type === "String" || type === "Array(String)") return [identifier(name)];
    const text = columnText(name);
    return type.startsWith("JSON") ? [text, `${TYPES}(${identifier(name)}))`] : [text];
  });
}
