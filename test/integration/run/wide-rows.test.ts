import { expect, test } from "bun:test";
import { runOptions } from "../../../scripts/testbed/run-options.ts";
import { eventsTable, observationsTable, tracesTable } from "../../../scripts/testbed/schema.ts";
import { testServer } from "../../../scripts/testbed/server.ts";
import { backfill } from "../../support/backfill.ts";

test("rows of 400 kB come in small blocks, whatever the batch size", async () => {
  const server = await testServer();
  const database = await server.createDatabase("wide");
  await server.command(tracesTable("traces"), { database });
  await server.command(observationsTable("observations", { mergesOff: true }), { database });
  await server.command(eventsTable("events"), { database });
  // Two parts with the same keys, so that FINAL has to merge them.
  for (const version of ["2025-11-05", "2025-11-06"]) {
    await server.command(
      `INSERT INTO observations (id, trace_id, project_id, type, start_time, input, created_at, updated_at, event_ts)
       SELECT toString(number), 't', 'p', 'SPAN', '2025-11-05', repeat(toString(number % 10), 400000),
         '2025-11-05', '2025-11-05', {version:String} FROM numbers(200)`,
      { database, params: { version } },
    );
  }
  const { report, events } = await backfill(runOptions(server, database, "202511", { parallelWorkers: 1 }));
  expect(report.eventsInserted).toBe(200);
  const rows = events.flatMap((event) => (event.kind === "rows" ? [event.rows] : []));
  const batches = rows.map((position, i) => position - (rows[i - 1] ?? 0)).filter((size) => size > 0);
  // 80 MB in all, of which two batches and the block that arrives are in memory at a time.
  expect(Math.max(...batches)).toBeLessThan(100);
});
