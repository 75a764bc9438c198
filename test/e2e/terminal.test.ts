import { expect, test } from "bun:test";
import { Terminal } from "@xterm/headless";
import { compiledBinary } from "../support/binary.ts";
import { ONE_BY_ONE, Scenario } from "../support/cli-scenario.ts";

/** A program in a terminal of this size, as an emulator shows it. */
async function startInTerminal(
  scenario: Scenario,
  columns: number,
  environment: Record<string, string> = {},
) {
  const screen = new Terminal({ cols: columns, rows: 30, allowProposedApi: true, convertEol: true });
  const chunks: Uint8Array[] = [];
  const child = Bun.spawn([await compiledBinary(), ...scenario.flags, ...ONE_BY_ONE], {
    cwd: scenario.directory,
    env: { PATH: process.env["PATH"] ?? "", TERM: "xterm-256color", ...environment },
    terminal: {
      cols: columns,
      rows: 30,
      data: (_, bytes) => {
        chunks.push(bytes);
        screen.write(bytes);
      },
    },
  });
  const lines = async (): Promise<string[]> => {
    await new Promise<void>((resolve) => screen.write("", resolve));
    const { active } = screen.buffer;
    const all = Array.from(
      { length: active.length },
      (_, i) => active.getLine(i)?.translateToString(true) ?? "",
    );
    return all.slice(0, all.findLastIndex((line) => line !== "") + 1);
  };
  const resize = (width: number): void => {
    screen.resize(width, 30);
    child.terminal?.resize(width, 30);
  };
  const raw = (): string => Buffer.concat(chunks).toString();
  return { child, lines, resize, raw };
}

/** The screen is drawn ten times a second. */
const DRAWN_MS = 400;

test.each([60, 80, 200])("a terminal of %d columns shows month, phase, state and bar", async (columns) => {
  await using scenario = await Scenario.open();
  const held = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const { child, lines, raw } = await startInTerminal(scenario, columns);
  await held.reached;
  await Bun.sleep(DRAWN_MS);
  const [state = "", bar = ""] = (await lines()).slice(-2);
  expect(state).toStartWith(`${scenario.fixture.partition} observations: `);
  expect(bar).toMatch(/(^\[[=> ]+\] .*)?\d+\/\d+ {2}[\d.]+% .* left$/);
  expect(bar.length).toBeLessThan(columns);
  held.release();
  expect(await child.exited).toBe(0);
  // The report follows the log, and nothing is left of the bar.
  const end = await lines();
  expect(end.filter((line) => line.startsWith("["))).toEqual([]);
  expect(end.join("\n")).toContain(`Partition ${scenario.fixture.partition} is done`);
  expect(raw()).not.toContain("\u001B[3");
  await scenario.expectEvents("multiset");
});

test("a terminal that becomes narrower and wider again is drawn anew, and keeps its log", async () => {
  await using scenario = await Scenario.open();
  const held = scenario.proxy.on({ on: "page", nth: 3 }, { kind: "hold", at: "request" });
  const { child, lines, resize } = await startInTerminal(scenario, 120);
  await held.reached;
  for (const columns of [60, 90, 70, 120]) {
    await Bun.sleep(DRAWN_MS);
    resize(columns);
  }
  await Bun.sleep(DRAWN_MS);
  const shown = await lines();
  expect(shown.filter((line) => line.includes(" observations: "))).toHaveLength(1);
  expect(shown.filter((line) => line.startsWith("["))).toHaveLength(1);
  expect(shown.join("\n")).toContain("Connected to ClickHouse");
  held.release();
  expect(await child.exited).toBe(0);
});

test.each([
  ["a dumb terminal has lines instead, without control codes", { TERM: "dumb" }],
  ["with NO_COLOR nothing is coloured", { NO_COLOR: "1" }],
] as const)("%s", async (_, environment) => {
  await using scenario = await Scenario.open();
  scenario.proxy.on({ on: "page", nth: 2 }, { kind: "reset", at: "response" });
  const { child, raw } = await startInTerminal(scenario, 80, environment);
  expect(await child.exited).toBe(0);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
  expect(raw()).not.toMatch("TERM" in environment ? /\u001B/ : /\u001B\[\d+m/);
  expect(raw()).toContain("retry 1 of 3");
});
