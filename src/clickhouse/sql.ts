/**
 * The one place where text becomes part of an SQL statement. Values travel as query parameters wherever the server takes
 * them; what is left are identifiers, and literals in settings and statements that take no parameters.
 */

/**
 * Quotes an identifier with backticks. Any string is a legal identifier.
 * Escapes as in ClickHouse's string literals, which back-quoted identifiers share
 * (https://clickhouse.com/docs/sql-reference/syntax#identifiers).
 */
export function identifier(name: string): string {
  return `\`${escapeText(name, "`")}\``;
}

/** Quotes a table within its database. */
export function qualifiedTable(database: string, table: string): string {
  return `${identifier(database)}.${identifier(table)}`;
}

/** Quotes a string literal (https://clickhouse.com/docs/sql-reference/syntax#string). */
export function literal(value: string): string {
  return `'${escapeText(value, "'")}'`;
}

/**
 * The value of a query parameter as it goes into a URL, before URL encoding: the server reads it like a field of TabSeparated
 * (https://clickhouse.com/docs/interfaces/http#cli-queries-with-parameters).
 */
export function parameter(value: string | number): string {
  return typeof value === "number" ? String(value) : escapeText(value, "");
}

function escapeText(text: string, quote: "`" | "'" | ""): string {
  let escaped = "";
  for (const char of text) {
    if (char === quote || char === "\\") escaped += `\\${char}`;
    else if (char === "\0") escaped += "\\0";
    else if (char === "\n") escaped += "\\n";
    else if (char === "\r") escaped += "\\r";
    else if (char === "\t") escaped += "\\t";
    else escaped += char;
  }
  return escaped;
}
