/**
 * Takes pictures of the status page in the midst of a run, at three widths, and says what the page weighs and how soon it shows. Starts a
 * local ClickHouse with two months of made-up data and a headless Chromium.
 *
 * Usage:   bun run picture:page
 * Output:  docs/page-1600.png, docs/page-800-dark.png, docs/page-360.png
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { DATABASE, fillTwoMonths, MONTHS } from "./picture/two-months.ts";
import { startChromium } from "./testbed/chromium.ts";
import { startDevServer } from "./testbed/server.ts";

const ROOT = join(import.meta.dir, "..");
const ADDRESS = "127.0.0.1:9363";
const PAGE = `http://${ADDRESS}/`;
const PICTURES = [
  { name: "page-1600", width: 1600, colorScheme: "light" },
  { name: "page-800-dark", width: 800, colorScheme: "dark" },
  { name: "page-360", width: 360, colorScheme: "light" },
] as const;
/** Loads of the page. */
const ROUNDS = 11;
const FIRST_PAINT = "performance.getEntriesByName('first-paint')[0].startTime";

const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-page-"));
const { url, process: clickhouse } = await startDevServer("--temporary");
const browser = await startChromium();
try {
  await fillTwoMonths(url);
  const run = startRun();
  try {
    const watcher = await browser.newPage();
    await opened(watcher.goto.bind(watcher));
    await watcher.locator("#month", { hasText: "202510" }).waitFor({ timeout: 300_000 });
    await watcher.locator("#phases", { hasText: "observations" }).waitFor({ timeout: 300_000 });
    await watcher.waitForTimeout(8_000);
    for (const picture of PICTURES) await take(browser, picture);
    await measure(browser);
  } finally {
    run.kill("SIGKILL");
    await run.exited;
  }
} finally {
  await browser.close();
  clickhouse.kill("SIGTERM");
  await clickhouse.exited;
  rmSync(directory, { recursive: true });
}

function startRun(): Bun.Subprocess {
  const program = join(ROOT, "src/main.ts");
  const flags = [
    `--clickhouse-url=${url}`,
    `--clickhouse-db=${DATABASE}`,
    `--partition=${MONTHS}`,
    `--status-address=${ADDRESS}`,
    // Slow enough to be looked at.
    "--max-rate=6000rows",
    "--stream-block-size=5000",
    "--insert-rows=5000",
  ];
  return Bun.spawn([process.execPath, program, ...flags], {
    cwd: directory,
    env: { PATH: process.env["PATH"] ?? "" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
}

/** Opens the page once it is served. */
async function opened(open: (url: string) => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await open(PAGE);
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await Bun.sleep(100);
    }
  }
}

async function take(
  browser: Browser,
  { name, width, colorScheme }: (typeof PICTURES)[number],
): Promise<void> {
  const page = await browser.newPage({ colorScheme, viewport: { width, height: 900 } });
  await page.goto(PAGE);
  await page.locator("#rows-chart path").waitFor({ state: "attached" });
  const path = join(ROOT, "docs", `${name}.png`);
  await page.screenshot({ path, fullPage: true });
  console.log(path);
  await page.close();
}

async function measure(browser: Browser): Promise<void> {
  const paints: number[] = [];
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const page = await browser.newPage();
    const response = await page.goto(PAGE);
    bytes = (await response?.body())?.length ?? 0;
    await page.locator("#rows-chart path").waitFor({ state: "attached" });
    paints.push(await page.evaluate<number>(FIRST_PAINT));
    await page.close();
  }
  const sorted = paints.toSorted((a, b) => a - b).map(Math.round);
  const median = sorted[Math.floor(ROUNDS / 2)];
  console.log(
    `the page has ${bytes} bytes; first paint after ${median} ms (${sorted[0]} to ${sorted.at(-1)}, ${ROUNDS} loads)`,
  );
}
