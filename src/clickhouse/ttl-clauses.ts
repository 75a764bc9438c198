import { isKeyword, type SqlToken, sqlTokens } from "./sql-tokens.ts";

/** A TTL of a table that alters rows; those that only move or recompress them are none. */
export interface TtlClause {
  /** The column that is emptied; null: rows are deleted, or rolled up. */
  readonly column: string | null;
  /** When a row expires, as the server writes it: an expression over columns of the table. */
  readonly expression: string;
  /** Only these rows; null: all. */
  readonly where: string | null;
}

const NO_COLUMNS = new Set(["INDEX", "PROJECTION", "CONSTRAINT", "PRIMARY", "STATISTICS"]);

/**
 * The TTLs in the text of a CREATE TABLE statement, as `system.tables` shows it
 * (https://clickhouse.com/docs/engines/table-engines/mergetree-family/mergetree#table_engine-mergetree-ttl).
 */
export function ttlClauses(createQuery: string): TtlClause[] {
  const tokens = sqlTokens(createQuery);
  const open = tokens.findIndex(({ text, depth }) => text === "(" && depth === 0);
  if (open < 0) return [];
  const close = tokens.findIndex(({ text, depth }, i) => i > open && text === ")" && depth === 0);
  const columns = elementsOf(tokens.slice(open + 1, close), 1);
  return [
    ...columns.flatMap((element) => columnTtl(createQuery, element)),
    ...tableTtls(createQuery, tokens.slice(close + 1)),
  ];
}

function columnTtl(sql: string, element: readonly SqlToken[]): TtlClause[] {
  const [name] = element;
  if (name === undefined || (name.kind === "word" && NO_COLUMNS.has(name.text.toUpperCase()))) return [];
  const start = element.findIndex((token) => token.depth === 1 && isKeyword(token, "TTL"));
  if (start < 0) return [];
  const end = element.findIndex(
    (token, i) =>
      i > start && token.depth === 1 && (isKeyword(token, "SETTINGS") || isKeyword(token, "COLLATE")),
  );
  const expression = textOf(sql, element.slice(start + 1, end < 0 ? undefined : end));
  return [{ column: name.text, expression, where: null }];
}

function tableTtls(sql: string, tokens: readonly SqlToken[]): TtlClause[] {
  const isOutside = (token: SqlToken): boolean => token.depth === 0;
  const start = tokens.findIndex((token) => isOutside(token) && isKeyword(token, "TTL"));
  if (start < 0) return [];
  const end = tokens.findIndex(
    (token, i) =>
      i > start && isOutside(token) && (isKeyword(token, "SETTINGS") || isKeyword(token, "COMMENT")),
  );
  const clause = tokens.slice(start + 1, end < 0 ? undefined : end);
  // The columns and assignments of GROUP BY have commas of their own; what follows it is taken for a part of it.
  const grouped = clause.findIndex((token) => isOutside(token) && isKeyword(token, "GROUP"));
  const elements = elementsOf(grouped < 0 ? clause : clause.slice(0, grouped), 0);
  return elements.flatMap((element) => {
    const action = element.findIndex(
      (token) =>
        isOutside(token) && ["DELETE", "RECOMPRESS", "TO", "WHERE"].some((word) => isKeyword(token, word)),
    );
    const expression = textOf(sql, action < 0 ? element : element.slice(0, action));
    if (isKeyword(element[action], "RECOMPRESS") || isKeyword(element[action], "TO")) return [];
    const where = element.findIndex((token) => isOutside(token) && isKeyword(token, "WHERE"));
    return [{ column: null, expression, where: where < 0 ? null : textOf(sql, element.slice(where + 1)) }];
  });
}

/** The parts between commas of a depth. */
function elementsOf(tokens: readonly SqlToken[], depth: number): SqlToken[][] {
  const elements: SqlToken[][] = [[]];
  for (const token of tokens) {
    if (token.text === "," && token.depth === depth) elements.push([]);
    else elements.at(-1)?.push(token);
  }
  return elements.filter((element) => element.length > 0);
}

function textOf(sql: string, tokens: readonly SqlToken[]): string {
  const [first] = tokens;
  const last = tokens.at(-1);
  return first === undefined || last === undefined ? "" : sql.slice(first.start, last.end);
}
