import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { type Noticed, notice, startChromium } from "../../scripts/testbed/chromium.ts";
import { runCli } from "../support/cli.ts";
import { ONE_BY_ONE, reached, Scenario } from "../support/cli-scenario.ts";
import { serverError } from "../support/fault-proxy-faults.ts";
import { freePort } from "../support/watched.ts";

const AXE = readFileSync(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir), "utf8");
const TOKEN = "0123456789abcdef-token";

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
});
afterAll(async () => await browser.close());

interface Shown {
  readonly page: Page;
  readonly noticed: Noticed;
}

async function show(url: string, options: Parameters<Browser["newPage"]>[0] = {}): Promise<Shown> {
  const page = await browser.newPage(options);
  const noticed = notice(page, new URL(url).origin);
  await page.goto(url);
  return { page, noticed };
}

/** A run that waits before one of its pages, and where it can be watched. */
async function heldRun(scenario: Scenario, nth: number, flags: readonly string[] = []) {
  const port = await freePort();
  const held = scenario.proxy.on({ on: "page", nth }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(held, [
    ...ONE_BY_ONE,
    `--status-address=127.0.0.1:${port}`,
    ...flags,
  ]);
  return { url: `http://127.0.0.1:${port}/`, running, held };
}

async function seriousFindings(page: Page): Promise<string[]> {
  // As the browser's own tool: the page's policy is not to be loosened for it.
  await page.evaluate(`${AXE}; null`);
  const found = (await page.evaluate("axe.run()")) as {
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  };
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Goes from one control to the next as far as one of them. Throws where the way does not lead there. */
async function tabTo(page: Page, id: string): Promise<void> {
  for (let presses = 0; presses < 10; presses++) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate("document.activeElement.id")) === id) return;
  }
  throw new Error(`no Tab leads to #${id}`);
}

async function contains(page: Page, id: string, words: string): Promise<void> {
  await page.locator(`#${id}`, { hasText: words }).waitFor();
}

test("rows move, the chart draws, a pause shows, and the end", async () => {
  await using scenario = await Scenario.open();
  const { url, running, held } = await heldRun(scenario, 2);
  const later = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
  const { page, noticed } = await show(url);
  const bar = page.locator("#phases li:last-child progress");
  await contains(page, "phases", "observations");
  const before = Number(await bar.getAttribute("value"));
  held.release();
  await reached(later, running);
  while (Number(await bar.getAttribute("value")) <= before) await page.waitForTimeout(100);
  await page.waitForSelector("#rows-chart path[d^='M']");
  expect(await page.textContent("#rows-axis")).toMatch(/at most [\d,]+ rows\/s, last [\d,]+ rows\/s/);
  await runCli(["control", "pause"], { cwd: scenario.directory });
  await contains(page, "state", "paused: by the operator");
  await runCli(["control", "resume"], { cwd: scenario.directory });
  later.release();
  await contains(page, "state", "The run has finished");
  expect(await page.title()).toStartWith("finished");
  expect(await page.textContent("#months")).toContain(scenario.fixture.partition);
  expect((await running.outcome).code).toBe(0);
  expect(noticed).toEqual({ messages: [], outside: [] });
  await page.close();
});

test("a retry is listed, and a failure stays on the screen", async () => {
  await using scenario = await Scenario.open();
  const { url, running, held } = await heldRun(scenario, 2, ["--max-retries=1"]);
  const { page, noticed } = await show(url);
  await contains(page, "phases", "observations");
  scenario.proxy.on(
    { on: "insert", nth: "every" },
    serverError(500, 210, "Gone <b>fishing</b>", "NETWORK_ERROR"),
  );
  held.release();
  await contains(page, "errors", "Gone <b>fishing</b>");
  await contains(page, "state", "failed: ");
  await contains(page, "retries", "1 retry so far");
  expect((await running.outcome).code).toBe(1);
  expect(noticed).toEqual({ messages: [], outside: [] });
  await page.close();
});

test("the page says that a run that is killed does not respond", async () => {
  await using scenario = await Scenario.open();
  const { url, running } = await heldRun(scenario, 2);
  const { page } = await show(url);
  await contains(page, "phases", "observations");
  running.kill("SIGKILL");
  await contains(page, "state", "No response: the run has ended, or cannot be reached");
  await contains(page, "phases", "observations");
  await page.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 800, 1600]) {
    test(`at ${width} px and in the ${colorScheme}, all fits and nothing stands in anybody's way`, async () => {
      await using scenario = await Scenario.open();
      const { url, held, running } = await heldRun(scenario, 3);
      const { page, noticed } = await show(url, { colorScheme, viewport: { width, height: 800 } });
      await page.waitForSelector("#rows-chart path[d^='M']");
      const [wide, background] = await page.evaluate<[number, string]>(
        "[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]",
      );
      expect(wide).toBeLessThanOrEqual(width);
      expect(background).toBe(colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(20, 23, 28)");
      expect(await seriousFindings(page)).toEqual([]);
      held.release();
      await contains(page, "state", "The run has finished");
      expect(await seriousFindings(page)).toEqual([]);
      expect(noticed).toEqual({ messages: [], outside: [] });
      expect((await running.outcome).code).toBe(0);
      await page.close();
    });
  }
}

test("the keyboard alone gives the token, and holds the page", async () => {
  await using scenario = await Scenario.open();
  const file = join(scenario.directory, "token");
  writeFileSync(file, TOKEN, { mode: 0o600 });
  const { url, held, running } = await heldRun(scenario, 2, [`--status-token-file=${file}`]);
  const { page, noticed } = await show(url);
  await page.waitForSelector("#token:focus");
  expect(await seriousFindings(page)).toEqual([]);
  await page.keyboard.type("short");
  await page.keyboard.press("Enter");
  await contains(page, "refused", "at least 16 letters");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("wrong-token-wrong-token");
  await page.keyboard.press("Enter");
  await contains(page, "refused", "does not take this token");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type(TOKEN);
  await page.keyboard.press("Enter");
  await contains(page, "phases", "observations");
  await tabTo(page, "live");
  await page.keyboard.press("Enter");
  expect(await page.getAttribute("#live", "aria-pressed")).toBe("false");
  held.release();
  expect((await running.outcome).code).toBe(0);
  // Held: the end does not show.
  expect(await page.textContent("#state")).not.toContain("finished");
  expect(noticed.outside).toEqual([]);
  // The browser's own words on the responses without a token.
  expect(noticed.messages.filter((message) => !message.includes("401"))).toEqual([]);
  await page.close();
});

test("a link may bring the token, to an open page as well, and the address does not keep it", async () => {
  await using scenario = await Scenario.open();
  const file = join(scenario.directory, "token");
  const token = "0123456789+/-._~abc==";
  writeFileSync(file, token, { mode: 0o600 });
  const { url, held, running } = await heldRun(scenario, 2, [`--status-token-file=${file}`]);
  const { page } = await show(`${url}#token=${token}`);
  await contains(page, "phases", "observations");
  expect(page.url()).toBe(url);
  const other = await (await browser.newContext()).newPage();
  await other.goto(url);
  await other.waitForSelector("#token:focus");
  await other.goto(`${url}#token=${token}`);
  await contains(other, "phases", "observations");
  expect(other.url()).toBe(url);
  held.release();
  expect((await running.outcome).code).toBe(0);
  await page.close();
});
