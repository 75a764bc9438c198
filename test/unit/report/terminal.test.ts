import { afterEach, expect, jest, test } from "bun:test";
import { NO_TIME } from "../../../src/copy/page-result.ts";
import { createLogger, isLevelShown, wantsColor } from "../../../src/report/logger.ts";
import { startProgressDisplay } from "../../../src/report/progress-display.ts";
import { createTerminal } from "../../../src/report/terminal.ts";
import { recorder } from "./recorder.ts";

afterEach(() => {
  jest.useRealTimers();
});

const now = (): Date => new Date("2025-02-03T04:05:06.789Z");

test("a line goes above the status lines, which are redrawn in place", () => {
  const output = recorder({ isTTY: true });
  const terminal = createTerminal(output);
  terminal.writeLine("one");
  terminal.setStatus(["[=> ]", "reading"]);
  terminal.writeLine("two");
  terminal.setStatus(["[==>]", "reading"]);
  terminal.setStatus(["[==>]", "reading"]);
  terminal.setStatus([]);
  terminal.writeLine("three");
  expect(output.written).toEqual([
    "one\n",
    "[=> ]\u001B[K\nreading\u001B[K\u001B[J",
    "\r\u001B[1A\u001B[Jtwo\n[=> ]\u001B[K\nreading\u001B[K",
    "\r\u001B[1A[==>]\u001B[K\nreading\u001B[K\u001B[J",
    "\r\u001B[1A\u001B[J",
    "three\n",
  ]);
});

test("status lines that a narrower terminal has wrapped are redrawn from their first row", () => {
  let columns = 80;
  const output = { ...recorder({ isTTY: true }), columns: () => columns };
  const terminal = createTerminal(output);
  terminal.setStatus(["x".repeat(70), "y".repeat(30)]);
  columns = 40;
  terminal.setStatus(["x", "y"]);
  // 70 characters take two rows of 40, and the cursor stands in the row of the second line.
  expect(output.written.at(-1)).toStartWith("\r\u001B[2Ax");
});

test("without a TTY there is no status", () => {
  const output = recorder();
  const terminal = createTerminal(output);
  terminal.setStatus(["[=> ]"]);
  terminal.writeLine("one");
  expect(output.text()).toBe("one\n");
});

test("the log has times in a file, and none on a TTY", () => {
  const file = recorder();
  const toFile = createLogger(createTerminal(file), {
    level: "debug",
    format: "text",
    isTTY: false,
    isColored: false,
    now,
  });
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
    format: "text",
    isTTY: true,
    isColored: true,
    now,
  });
  toTerminal.info("hello");
  toTerminal.error("broken");
  expect(terminal.text()).toBe("info  hello\n\u001B[31merror\u001B[39m broken\n");
});

test("the format json has an object a line, with the fields of the entry", () => {
  const file = recorder();
  const logger = createLogger(createTerminal(file), {
    level: "info",
    format: "json",
    isTTY: true,
    isColored: true,
    now,
  });
  logger.info("a\nb", { event: "connected", url: "u" });
  logger.warn("careful");
  expect(
    file
      .text()
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { time: "2025-02-03T04:05:06.789Z", level: "info", event: "connected", message: "a\nb", url: "u" },
    { time: "2025-02-03T04:05:06.789Z", level: "warn", event: "log", message: "careful" },
  ]);
});

test("an entry that repeats is written each time", () => {
  const output = recorder();
  const logger = createLogger(createTerminal(output), {
    level: "info",
    format: "text",
    isTTY: true,
    isColored: false,
    now,
  });
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
  display.onEvent({ kind: "traces", loaded: 0, reused: 0, total: 10, bytes: 0 });
  pass(2000);
  display.onEvent({ kind: "traces", loaded: 10, reused: 0, total: 10, bytes: 4_000_000 });
  expect(lines).toEqual([]);
  display.onEvent({
    kind: "rows",
    phase: "observations",
    rows: 0,
    bytes: 0,
    keptRows: 0,
    insertedRows: 0,
    spent: NO_TIME,
  });
  expect(lines.splice(0)).toEqual(["traces: 10 of 10, 100.0%, 5 rows/s, 2.0 MB/s, 0s left"]);
  pass(4000);
  display.onEvent({
    kind: "rows",
    phase: "observations",
    rows: 40,
    bytes: 40_000_000,
    keptRows: 40,
    insertedRows: 40,
    spent: NO_TIME,
  });
  pass(4000);
  expect(lines.splice(0)).toEqual(["observations: 40 of 100, 40.0%, 5 rows/s, 5.0 MB/s, 12s left; copying"]);
  display.onEvent({
    kind: "rows",
    phase: "observations",
    rows: 100,
    bytes: 80_000_000,
    keptRows: 100,
    insertedRows: 100,
    spent: NO_TIME,
  });
  display.stop();
  display.stop();
  pass(20_000);
  expect(lines).toEqual(["observations: 100 of 100, 100.0%, 13 rows/s, 10.0 MB/s, 0s left"]);
});

test("the screen is drawn ten times a second at the terminal's present width, and cleared", () => {
  jest.useFakeTimers();
  let nowMs = 0;
  let columns = 80;
  const drawn: (readonly string[])[] = [];
  const lines: string[] = [];
  const display = startProgressDisplay(
    {
      kind: "screen",
      columns: () => columns,
      setStatus: (lines) => drawn.push(lines),
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
      insertedRows: event / 10,
      spent: NO_TIME,
    });
    if (event === 250) columns = 40;
    nowMs += 2;
    jest.advanceTimersByTime(2);
  }
  display.stop();
  expect(drawn).toHaveLength(11);
  expect(drawn[0]?.[0]).toBe("observations: copying");
  expect(drawn[0]?.[1]).toHaveLength(79);
  expect(drawn.at(-2)?.[1]?.length).toBeLessThan(40);
  expect(drawn.at(-1)).toEqual([]);
  // The last figures of a phase stay on the screen.
  expect(lines).toHaveLength(1);
  expect(lines[0]).toStartWith("observations: 99.9 of 100".replace("99.9", "100"));
});
