import type { Output } from "./output.ts";

/** Lines of text above a few status lines that are rewritten in place. */
export interface Terminal {
  /** Writes a whole line; the status lines, if any, move below it. */
  writeLine(line: string): void;
  /** Shows, replaces or, with none, clears the status lines. Each must fit into one row; they are only shown on a TTY. */
  setStatus(lines: readonly string[]): void;
}

// Control sequences of ECMA-48.
const ERASE_TO_END_OF_LINE = "\u001B[K";
const ERASE_BELOW = "\u001B[J";
const up = (rows: number): string => (rows === 0 ? "" : `\u001B[${rows}A`);

/** A terminal over `output`; without a TTY it is plain lines. */
export function createTerminal(output: Output): Terminal {
  let shown: readonly string[] = [];
  /** To the first column of the first status line. A terminal that has become narrower has wrapped the lines. */
  const toTop = (): string => {
    const columns = Math.max(1, output.columns());
    const rows = shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
    return `\r${up(Math.max(0, rows - 1))}`;
  };
  const drawn = (lines: readonly string[]): string =>
    lines.map((line) => `${line}${ERASE_TO_END_OF_LINE}`).join("\n");
  return {
    writeLine: (line) => {
      if (shown.length === 0) output.write(`${line}\n`);
      else output.write(`${toTop()}${ERASE_BELOW}${line}\n${drawn(shown)}`);
    },
    setStatus: (lines) => {
      if (!output.isTTY || (lines.length === shown.length && lines.every((line, i) => line === shown[i])))
        return;
      // In one piece, and each line over the old one: nothing flickers.
      output.write(`${shown.length === 0 ? "" : toTop()}${drawn(lines)}${ERASE_BELOW}`);
      shown = [...lines];
    },
  };
}
