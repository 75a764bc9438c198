/** A piece of SQL text that is neither space nor comment. */
export interface Token {
  readonly kind: "word" | "quoted" | "punctuation";
  /** Words in upper case, everything else as written. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** How many brackets are open around it; a bracket itself counts as outside. */
  readonly depth: number;
}

/**
 * Splits SQL as ClickHouse's lexer does, as far as finding clauses needs: comments, quotes, heredocs, words, brackets.
 * An unfinished quote or comment ends the tokens: what follows may be data, not SQL.
 */
export function* tokens(sql: string): Generator<Token> {
  let depth = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match !== null; match = TOKEN.exec(sql)) {
    const { space, word, quoted, heredoc, other } = match.groups ?? {};
    const [start, end] = [match.index, TOKEN.lastIndex];
    if (space !== undefined) continue;
    if (word !== undefined) {
      yield { kind: "word", text: word.toUpperCase(), start, end, depth };
    } else if (quoted !== undefined || heredoc !== undefined) {
      yield { kind: "quoted", text: match[0], start, end, depth };
    } else if (other !== undefined) {
      if (CLOSING.has(other)) depth--;
      yield { kind: "punctuation", text: other, start, end, depth };
      if (OPENING.has(other)) depth++;
    }
  }
}

const OPENING = new Set(["(", "[", "{"]);
const CLOSING = new Set([")", "]", "}"]);

// Sticky: the first position where nothing matches (an unfinished quote) ends the walk.
const TOKEN = new RegExp(
  [
    String.raw`(?<space>\s+|--[^\n]*|#[ !][^\n]*|/\*[\s\S]*?\*/)`,
    String.raw`(?<quoted>'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|${"`(?:[^`\\\\]|\\\\[\\s\\S]|``)*`"})`,
    String.raw`(?<heredoc>\$(?<tag>\w*)\$[\s\S]*?\$\k<tag>\$)`,
    "(?<word>[A-Za-z0-9_]+)",
    String.raw`(?<other>[^'"\`\s])`,
  ].join("|"),
  "y",
);
