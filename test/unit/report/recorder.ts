import type { Output } from "../../../src/report/output.ts";

/** An output that keeps what was written. */
export interface Recorder extends Output {
  readonly written: string[];
  text(): string;
}

export function recorder({ isTTY = false, columns = 80 } = {}): Recorder {
  const written: string[] = [];
  return {
    isTTY,
    columns: () => columns,
    written,
    text: () => written.join(""),
    write: (text) => {
      written.push(text);
    },
    settled: () => Promise.resolve(),
  };
}
