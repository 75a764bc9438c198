/** A piece of SQL text that is neither space nor comment. */
export interface SqlToken {
  /** A word (also of digits), an identifier in quotes, a string, or any other character. */
  readonly kind: "word" | "identifier" | "string" | "other";
  /** Words and other characters as written, identifiers and strings without their quotes. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** How many brackets are open around it; a bracket itself counts as outside. */
  readonly depth: number;
}

// Sticky: the first position where nothing matches, an unfinished quote, ends the walk.
const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|'(?<string>(?:[^'\\]|\\[\s\S]|'')*)'|[`"](?<identifier>(?:[^`"\\]|\\[\s\S]|``|"")*)[`"]|(?<word>\w+)|(?<other>[^\s])/y;

/** Splits SQL as the server itself formats it, as far as finding clauses in it needs. */
export function sqlTokens(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  let depth = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match !== null; match = TOKEN.exec(sql)) {
    const { string, identifier, word, other } = match.groups ?? {};
    const [start, end] = [match.index, TOKEN.lastIndex];
    if (string !== undefined) tokens.push({ kind: "string", text: string, start, end, depth });
    else if (identifier !== undefined) {
      tokens.push({ kind: "identifier", text: unescaped(identifier), start, end, depth });
    } else if (word !== undefined) tokens.push({ kind: "word", text: word, start, end, depth });
    else if (other !== undefined) {
      if (")]}".includes(other)) depth--;
      tokens.push({ kind: "other", text: other, start, end, depth });
      if ("([{".includes(other)) depth++;
    }
  }
  return tokens;
}

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, "$1").replaceAll("``", "`");
}

/** Whether a token is this keyword, in any case. */
export function isKeyword(token: SqlToken | undefined, keyword: string): boolean {
  return token?.kind === "word" && token.text.toUpperCase() === keyword;
}
