import { afterEach, expect, jest, test } from "bun:test";
import { createLogger, isLevelShown, wantsColor } from "../../../src/report/logger.ts";
import { startProgressDisplay } from "../../../src/report/progress-display.ts";
import { createTerminal } from "../../../src/report/terminal.ts";
import { recorder } from "./recorder.ts";

afterEach(() => {
  jest.useRealTimers();
});

const now = (): Date => new Date("2025-02-03T04:05:06.789Z");

test("a line goes above the status, which is redrawn", () => {
  const output = recorder({ isTTY: true });
  const terminal = createTerminal(output);
  terminal.writeLine("one");
  terminal.setStatus("[=> ]");
  terminal.writeLine("two");
  terminal.setStatus("[==>]");
  terminal.setStatus("[==>]");
  terminal.setStatus(null);
  terminal.writeLine("three");
  expect(output.written).toEqual([
    "one\n",
    "\r\u001B[K[=> ]",
    "\r\u001B[Ktwo\n[=> ]",
    "\r\u001B[K[==>]",
    "\r\u001B[K",
    "three\n",
  ]);
});

test("without a TTY there is no status", () => {
  const output = recorder();
  const terminal = createTerminal(output);
  terminal.setStatus("[=> ]");
  terminal.writeLine("one");
  expect(output.text()).toBe("one\n");
});

test("the log has times in a file, and none on a TTY", () => {
  const file = recorder();
  const toFile = createLogger(createTerminal(file), { level: "debug", isTTY: false, isColored: false, now });
  toFile.info("hello");
  toFile.warn("careful");
  toFile.debug("detail");
  toFile.trace("too much");
  expect(file.text()).toBe(
    "2025-02-03T04:05:06.789Z info  hello\n" +
      "2025-02-03T04:05:06.789Z warn  careful\n" +
      "2025-02-03T04:05:06.789Z debug detail\n",
  );

  const terminal = recorder({ isTTY: true });
  const toTerminal = createLogger(createTerminal(terminal), {
    level: "info",
    isTTY: true,
    isColored: true,
    now,
  });
  toTerminal.info("hello");
  toTerminal.error("broken");
  expect(terminal.text()).toBe("info  hello\n\u001B[31merror\u001B[39m broken\n");
});

test("an entry that repeats is written each time", () => {
  const output = recorder();
  const logger = createLogger(createTerminal(output), { level: "info", isTTY: true, isColored: false, now });
  for (let time = 0; time < 20; time += 1) logger.warn("again");
  expect(output.written).toHaveLength(20);
});

test("colours need a TTY that has them and no NO_COLOR", () => {
  expect(wantsColor(true, {})).toBe(true);
  expect(wantsColor(true, { NO_COLOR: "" })).toBe(true);
  expect(wantsColor(true, { NO_COLOR: "1" })).toBe(false);
  expect(wantsColor(true, { TERM: "dumb" })).toBe(false);
  expect(wantsColor(false, {})).toBe(false);
});

test("entries below the level are dropped", () => {
  expect(isLevelShown("info", "info")).toBe(true);
  expect(isLevelShown("info", "trace")).toBe(true);
  expect(isLevelShown("info", "warn")).toBe(false);
});

test("lines of progress come every 10 s, at the end of a phase and at the end", () => {
  jest.useFakeTimers();
  let nowMs = 0;
  const pass = (ms: number): void => {
    nowMs += ms;
    jest.advanceTimersByTime(ms);
  };
  const lines: string[] = [];
  const display = startProgressDisplay({ kind: "lines", writeLine: (line) => lines.push(line) }, () => nowMs);
  pass(10_000);
  display.onEvent({ kind: "planned", phase: "observations", totalRows: 100, doneRows: 0 });
  display.onEvent({ kind: "traces", loaded: 0, total: 10, bytes: 0 });
  pass(2000);
  display.onEvent({ kind: "traces", loaded: 10, total: 10, bytes: 4_000_000 });
  expect(lines).toEqual([]);
  display.onEvent({ kind: "rows", phase: "observations", rows: 0, bytes: 0, keptRows: 0 });
  expect(lines.splice(0)).toEqual(["traces: 10 of 10, 100.0%, 5 rows/s, 2.0 MB/s, 0s left"]);
  pass(4000);
  display.onEvent({ kind: "rows", phase: "observations", rows: 40, bytes: 40_000_000, keptRows: 40 });
  pass(4000);
  expect(lines.splice(0)).toEqual(["observations: 40 of 100, 40.0%, 5 rows/s, 5.0 MB/s, 12s left"]);
  display.onEvent({ kind: "rows", phase: "observations", rows: 100, bytes: 80_000_000, keptRows: 100 });
  display.stop();
  display.stop();
  pass(20_000);
  expect(lines).toEqual(["observations: 100 of 100, 100.0%, 13 rows/s, 10.0 MB/s, 0s left"]);
});

test("a bar is drawn ten times a second at the terminal's present width, and cleared", () => {
  jest.useFakeTimers();
  let nowMs = 0;
  let columns = 80;
  const drawn: (string | null)[] = [];
  const lines: string[] = [];
  const display = startProgressDisplay(
    {
      kind: "bar",
      columns: () => columns,
      setStatus: (status) => drawn.push(status),
      writeLine: (line) => lines.push(line),
    },
    () => nowMs,
  );
  display.onEvent({ kind: "planned", phase: "observations", totalRows: 100, doneRows: 50 });
  for (let event = 0; event < 500; event += 1) {
    display.onEvent({
      kind: "rows",
      phase: "observations",
      rows: event / 10,
      bytes: 0,
      keptRows: event / 10,
    });
    if (event === 250) columns = 40;
    nowMs += 2;
    jest.advanceTimersByTime(2);
  }
  display.stop();
  expect(drawn).toHaveLength(11);
  expect(drawn[0]).toHaveLength(79);
  expect(drawn.at(-2)?.length).toBeLessThan(40);
  expect(drawn.at(-1)).toBeNull();
  // The last figures of a phase stay on the screen.
  expect(lines).toHaveLength(1);
  expect(lines[0]).toStartWith("observations: 99.9 of 100".replace("99.9", "100"));
});
