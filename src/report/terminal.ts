import type { Output } from "./output.ts";

/** Lines of text above one status line that is rewritten in place. */
export interface Terminal {
  /** Writes a whole line; the status line, if any, moves below it. */
  writeLine(line: string): void;
  /** Shows, replaces or, with `null`, clears the status line. It must fit into one row and is only shown on a TTY. */
  setStatus(status: string | null): void;
}

/** Carriage return, then ECMA-48's "erase in line". */
const CLEAR_LINE = "\r\u001B[K";

/** A terminal over `output`; without a TTY it is plain lines. */
export function createTerminal(output: Output): Terminal {
  let shown: string | null = null;
  return {
    writeLine: (line) => {
      if (shown === null) output.write(`${line}\n`);
      else output.write(`${CLEAR_LINE}${line}\n${shown}`);
    },
    setStatus: (status) => {
      if (!output.isTTY || status === shown) return;
      output.write(`${CLEAR_LINE}${status ?? ""}`);
      shown = status;
    },
  };
}
