import { runOptions } from "./scripts/testbed/run-options.ts";
import { eventsFullTable } from "./scripts/testbed/schema.ts";
import { testServer } from "./scripts/testbed/server.ts";
import { backfill } from "./test/support/backfill.ts";
import { generateDataset } from "./test/support/generate.ts";

const server = await testServer();
const database = await server.createDatabase("zz");
const { partition } = await generateDataset(server, {
  database,
  seed: 1,
  observations: 3000,
  traces: 500,
  largeInputs: 0,
});
await server.command(eventsFullTable("events_full"), { database });
const cols = await server.queryJson<any>(`DESCRIBE ${database}.events_full`);
console.log(cols.map((c: any) => c.name + " " + c.type).join(", "));
const { report, events } = await backfill(
  runOptions(server, database, partition, {
    layout: "auto",
    tables: { source: "observations", traces: "traces", target: "events_full" },
  }),
);
console.log(
  report,
  events.filter((e) => e.kind === "notice"),
);
console.log(
  await server.queryJson(
    `select source, count(), countIf(span_id like 't-%') r, uniqExact(trace_id), min(start_time), max(start_time) from ${database}.events_full final group by source`,
  ),
);
process.exit(0);
