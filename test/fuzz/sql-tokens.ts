/** A token of ClickHouse's lexer; quoted ones with what they stand for. */
export interface Token {
  readonly kind: "word" | "number" | "string" | "identifier" | "sign";
  readonly text: string;
}

/**
 * Takes a statement apart as ClickHouse does (`src/Parsers/Lexer.cpp`, `src/IO/ReadHelpers.cpp`), comments and here
 * documents included. Throws a SyntaxError for what the lexer refuses, such as a quote without its end.
 */
export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length; ) {
    const rest = /^(?:\s+|--[^\n]*|#[ !][^\n]*|\/\*(?:[^*]|\*(?!\/))*\*\/)/.exec(sql.slice(at, at + 4096));
    if (rest !== null) {
      at += rest[0].length;
      continue;
    }
    const char = sql[at] ?? "";
    if (char === "'" || char === "`" || char === '"') {
      const { text, end } = quoted(sql, at);
      tokens.push({ kind: char === "'" ? "string" : "identifier", text });
      at = end;
      continue;
    }
    const heredoc = /^\$(\w*)\$/.exec(sql.slice(at, at + 64));
    if (heredoc !== null) {
      const end = sql.indexOf(heredoc[0], at + heredoc[0].length);
      if (end < 0) throw new SyntaxError(`A here document without an end at ${at}`);
      tokens.push({ kind: "string", text: sql.slice(at + heredoc[0].length, end) });
      at = end + heredoc[0].length;
      continue;
    }
    const word = /^(?:[A-Za-z_]\w*|\d[\w.]*)/.exec(sql.slice(at, at + 256))?.[0];
    const text = word ?? char;
    if (word === undefined && !/^[(){}[\],.;:?*+\-/%<>=!|&@^]$/.test(char)) {
      throw new SyntaxError(`${JSON.stringify(char)} at ${at}`);
    }
    tokens.push({ kind: word === undefined ? "sign" : /^\d/.test(word) ? "number" : "word", text });
    at += text.length;
  }
  return tokens;
}

/** The escapes that stand for another character; before any other character but these the backslash stays. */
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["0", "\0"],
  ["a", "\x07"],
  ["v", "\v"],
  ["e", "\x1b"],
  ...["\\", "'", "`", '"', "/", "="].map((char) => [char, char] as const),
]);

function quoted(sql: string, start: number): { text: string; end: number } {
  const quote = sql[start];
  let text = "";
  for (let at = start + 1; at < sql.length; at++) {
    const char = sql[at] ?? "";
    if (char === quote) {
      if (sql[at + 1] !== quote) return { text, end: at + 1 };
      text += quote;
      at++;
    } else if (char === "\\") {
      const next = sql[at + 1] ?? "";
      const code = next === "x" ? /^[\dA-Fa-f]{2}/.exec(sql.slice(at + 2, at + 4))?.[0] : undefined;
      if (code !== undefined) text += String.fromCharCode(Number.parseInt(code, 16));
      else if (next !== "N") text += ESCAPES.get(next) ?? `\\${next}`;
      at += code === undefined ? 1 : 3;
    } else text += char;
  }
  throw new SyntaxError(`A quote without an end at ${start}`);
}
