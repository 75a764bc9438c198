import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsFullTable } from "../../../scripts/testbed/schema.ts";
import { testServer } from "../../../scripts/testbed/server.ts";
import { fingerprintOf } from "../../../src/checkpoint/fingerprint.ts";
import { openLedger } from "../../../src/checkpoint/ledger.ts";
import type { RejectedRow } from "../../../src/copy/rejected-row.ts";
import { runBackfill } from "../../../src/run/backfill.ts";
import { chooseSeed, generateDataset } from "../../support/generate.ts";

test("a month of which the server rejects every row is not done, however few they are", async () => {
  const server = await testServer();
  const database = await server.createDatabase("rejected");
  const sizes = { observations: 12, traces: 4, largeInputs: 0 };
  const { partition } = await generateDataset(server, { database, seed: chooseSeed(), ...sizes });
  const table = eventsFullTable("events");
  await server.command(table.replace(/\)(\s*ENGINE)/, ", CONSTRAINT nothing CHECK 0)$1"), { database });
  const directory = mkdtempSync(join(tmpdir(), "clickhouse-backfill-state-"));
  try {
    const options = runOptions(server, database, partition);
    const ledger = openLedger({ directory, partition, fingerprint: fingerprintOf(options) });
    const rejected: RejectedRow[] = [];
    const log = { append: (rows: readonly RejectedRow[]) => void rejected.push(...rows) };
    const run = runBackfill(
      options,
      { monthly: new Map([["observations", ledger]]), openExperiments: null },
      () => {},
      new AbortController().signal,
      { rejectedRows: log },
    );
    await expect(run).rejects.toThrow(/the server rejected all \d+ rows, so that nothing was inserted/);
    expect(rejected.length).toBeGreaterThan(0);
    expect(rejected.every(({ code }) => code === 469)).toBe(true);
    expect(ledger.finished).toBe(false);
    expect(ledger.remaining()).toHaveLength(1);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
