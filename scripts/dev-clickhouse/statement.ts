import { literal } from "../../src/clickhouse/sql.ts";
import { type Token, tokens } from "./tokens.ts";

/** How a statement is to be run. Offsets are in bytes. */
export type Statement =
  /** `INSERT … FORMAT x` or `INSERT … VALUES`: the rest of the text, and of the request, is data. */
  | {
      readonly kind: "insert";
      /** Where the data begins. */
      readonly dataStart: number;
      /** Where `FROM INFILE` goes. */
      readonly sourceAt: number;
      /** Where SQL that names the format begins; the clause between it and the data is `FORMAT format`. */
      readonly formatAt: number;
      readonly format: string;
    }
  /** Nothing, or not enough to decide: more text may follow. */
  | { readonly kind: "incomplete" }
  /** Writes rows, returns none: INSERT … SELECT, CREATE … AS SELECT. */
  | { readonly kind: "write" }
  /** A SELECT in all its forms. `format` undefined: none was given. */
  | {
      readonly kind: "select";
      readonly format: string | undefined;
      /** Where `INTO OUTFILE` goes. */
      readonly outfileAt: number;
      /** Totals are a second result, which only a whole response carries. */
      readonly hasTotals: boolean;
      readonly hasOutfile: boolean;
    }
  /** Everything else: DDL, SHOW, SET, KILL, … */
  | { readonly kind: "command"; readonly format: string | undefined };

/** @param complete whether `bytes` is the whole request, and no more of it follows */
export function parseStatement(bytes: Buffer, complete: boolean): Statement {
  // One character a byte: data after the head may be no UTF-8, and everything that decides is ASCII.
  const sql = bytes.toString("latin1");
  const walk = tokens(sql);
  let first = walk.next().value;
  while (first !== undefined && (first.text === "(" || first.text === ";")) first = walk.next().value;
  if (first === undefined) return { kind: "incomplete" };
  if (first.text === "INSERT") return parseInsert(sql, walk, complete);
  if (!complete) return { kind: "incomplete" };
  if (first.text === "CREATE") return { kind: "write" };
  const all = [first, ...walk];
  const output = outputClauses(sql, all);
  if (!COMMANDS.has(first.text)) return { kind: "select", ...output };
  return { kind: "command", format: output.format };
}

/** The statement that reads the data of an insert from a file, plain or compressed as named. */
export function insertFromFile(
  bytes: Buffer,
  insert: Extract<Statement, { kind: "insert" }>,
  path: string,
  compression: string,
): string {
  const target = bytes.toString("utf8", 0, insert.sourceAt);
  const settings = bytes.toString("utf8", insert.sourceAt, insert.formatAt);
  return `${target} FROM INFILE ${literal(path)} COMPRESSION ${literal(compression)} ${settings} FORMAT ${insert.format}`;
}

const COMMANDS = new Set(
  (
    "ALTER ANALYZE ATTACH BACKUP BEGIN CHECK COMMIT DELETE DESC DESCRIBE DETACH DROP EXCHANGE EXECUTE EXISTS EXPLAIN " +
    "GRANT KILL MOVE OPTIMIZE RENAME RESTORE REVOKE ROLLBACK SET SHOW START STOP SYSTEM TRUNCATE UNDROP UPDATE USE"
  ).split(" "),
);

function parseInsert(sql: string, walk: Iterator<Token>, complete: boolean): Statement {
  let settingsAt: number | undefined;
  for (let step = walk.next(); step.done !== true; step = walk.next()) {
    const token = step.value;
    const isBracketedSelect = token.text === "SELECT" && token.kind === "word";
    if (token.depth > 0 && !isBracketedSelect) continue;
    if (SOURCES.has(token.text)) return complete ? { kind: "write" } : { kind: "incomplete" };
    if (token.text === "SETTINGS") settingsAt ??= token.start;
    if (token.text === "VALUES") {
      return {
        kind: "insert",
        dataStart: token.end,
        sourceAt: settingsAt ?? token.start,
        formatAt: token.start,
        format: "Values",
      };
    }
    if (token.text !== "FORMAT") continue;
    const name = walk.next().value;
    if (name === undefined || (name.end === sql.length && !complete)) return { kind: "incomplete" };
    return {
      kind: "insert",
      dataStart: afterLineBreak(sql, name.end),
      sourceAt: settingsAt ?? token.start,
      formatAt: token.start,
      format: sql.slice(name.start, name.end),
    };
  }
  if (!complete) return { kind: "incomplete" };
  const end = sql.length;
  return { kind: "insert", dataStart: end, sourceAt: settingsAt ?? end, formatAt: end, format: "Values" };
}

const SOURCES = new Set(["SELECT", "WITH", "FROM", "WATCH"]);

/** Data begins after the line break that follows the format, or after the spaces where there is none. */
function afterLineBreak(sql: string, position: number): number {
  const match = /[ \t\f]*(?:;[ \t\f]*)?\r?\n?/y;
  match.lastIndex = position;
  match.exec(sql);
  return match.lastIndex;
}

function outputClauses(sql: string, all: readonly Token[]) {
  let format: string | undefined;
  let outfileAt: number | undefined;
  let hasTotals = false;
  let hasOutfile = false;
  for (const [index, token] of all.entries()) {
    if (token.kind !== "word") continue;
    const next = all[index + 1];
    if (token.text === "TOTALS") hasTotals = true;
    if (token.depth > 0) continue;
    if (token.text === "INTO" && next?.text === "OUTFILE") hasOutfile = true;
    // A column may be called format: the clause is followed by a name, and only SETTINGS or the end may come after.
    const after = all[index + 2];
    if (
      token.text === "FORMAT" &&
      next?.kind === "word" &&
      (after === undefined || after.text === ";" || after.text === "SETTINGS")
    ) {
      format = sql.slice(next.start, next.end);
      outfileAt = token.start;
    }
  }
  const last = all.at(-1);
  const end = last?.text === ";" ? last.start : sql.length;
  return { format, outfileAt: outfileAt ?? end, hasTotals, hasOutfile };
}
