import type { QueryParams } from "./server.ts";

/** A column of a sorting key: its expression and the type of the parameters it is compared with. */
export interface KeyColumn {
  readonly sql: string;
  readonly type: "String" | "Date" | "DateTime64(6)";
}

/** A condition with the values of its parameters. */
export interface Condition {
  readonly sql: string;
  readonly params: QueryParams;
}

/**
 * The condition `after < key <= upTo` on the leading columns of a sorting key; `null` leaves a side open. A bound with fewer
 * values than there are columns stands for all keys that begin with them: they are not after it, and they are up to it.
 * The comparison is written out column by column, since ClickHouse uses the primary index for that form and not for a
 * comparison of tuples.
 */
export function keyRangeCondition(
  columns: readonly KeyColumn[],
  after: readonly string[] | null,
  upTo: readonly string[] | null,
): Condition {
  const params: Record<string, string> = {};
  const conditions: string[] = [];
  if (after !== null) conditions.push(boundCondition(columns, after, "after", ">", params));
  if (upTo !== null) conditions.push(boundCondition(columns, upTo, "upto", "<", params));
  return { sql: conditions.length === 0 ? "1" : conditions.join(" AND "), params };
}

function boundCondition(
  columns: readonly KeyColumn[],
  bound: readonly string[],
  prefix: string,
  comparison: ">" | "<",
  params: Record<string, string>,
): string {
  const alternatives: string[] = [];
  const equalities: string[] = [];
  bound.forEach((value, i) => {
    const column = columns[i];
    if (column === undefined)
      throw new RangeError(`A bound of ${bound.length} values for ${columns.length} columns`);
    params[`${prefix}${i}`] = value;
    const parameter = `{${prefix}${i}:${column.type}}`;
    const isLast = i === bound.length - 1;
    const operator = comparison === "<" && isLast ? "<=" : comparison;
    alternatives.push([...equalities, `${column.sql} ${operator} ${parameter}`].join(" AND "));
    equalities.push(`${column.sql} = ${parameter}`);
  });
  return `(${alternatives.join(" OR ")})`;
}
