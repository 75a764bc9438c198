/**
 * Micro-benchmarks of the pieces that every row passes through, on one core and without I/O, on a response of the local
 * ClickHouse that is held in memory: ns a row and GB/s, against a plain copy of the same bytes.
 *
 *   bun run bench:micro [--rows 50000] [--traces 100000] [--large-traces 5000000] [--only walk,gather]
 */
import { type ArgsDef, defineCommand, runMain } from "citty";
import { BufferPool } from "../src/bytes/buffer-pool.ts";
import { openDataset } from "./bench/dataset.ts";
import { checkFlags, type Flags, numberFlag } from "./bench/flags.ts";
import { capture } from "./bench/micro/capture.ts";
import { type Measured, measure, renderTable } from "./bench/micro/measure.ts";
import { copy, enrichAlone, fillBatches, gather, keepBlocks, walk } from "./bench/micro/pieces.ts";
import { findAll, largeStore, someKeys, storeOf } from "./bench/micro/stores.ts";

const BATCH_ROWS = 10_000;
const LOOK_UPS = 500_000;
const TARGET_ROWS_PER_SECOND = 2e6;

const ARGS = {
  rows: { type: "string", default: "50000", description: "observations of the response" },
  traces: { type: "string", default: "100000", description: "traces in the usual store" },
  "large-traces": {
    type: "string",
    default: "5000000",
    description: "traces in the large store; 0 leaves it out",
  },
  only: { type: "string", default: "", description: "pieces whose names begin so, with commas between" },
} as const satisfies ArgsDef;

await runMain(
  defineCommand({
    meta: { name: "bench-micro", description: "Measures the hot pieces alone" },
    args: ARGS,
    async run({ args, rawArgs }) {
      const flags: Flags = checkFlags(ARGS, args, rawArgs);
      await run(
        numberFlag(flags, "rows", 1),
        numberFlag(flags, "traces", 1),
        numberFlag(flags, "large-traces", 0),
        args.only.split(",").filter((name) => name !== ""),
      );
    },
  }),
);

async function run(
  rows: number,
  traces: number,
  largeTraces: number,
  only: readonly string[],
): Promise<void> {
  const dataset = await openDataset({ observations: rows, traces, seed: 1, shape: "month" }, console.log);
  const captured = await capture(dataset, rows).finally(dataset.stop);
  const { mapping } = captured;
  const withoutJson = {
    ...mapping,
    made: mapping.derived.filter(
      ({ column: { source } }) => source.from !== "metadata" || source.part !== "json",
    ),
  };
  const chunks = captured.observations.map((chunk) => Buffer.from(chunk));
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const work = { rows, bytes };
  const blocks = keepBlocks(chunks);
  const usual = storeOf(keepBlocks(captured.traces), true);
  console.log(
    `${rows} observations, ${(bytes / rows).toFixed(0)} B each on the wire, in ${blocks.length} blocks of ${chunks.length} chunks; ${usual.traces} traces\n`,
  );

  const results: Measured[] = [];
  const piece = (name: string, amount: typeof work, repeat: () => void): void => {
    if (only.length > 0 && !only.some((wanted) => name.startsWith(wanted))) return;
    results.push(measure(name, amount, repeat));
  };
  const target = Buffer.alloc(bytes);
  const buffers = new BufferPool(2 ** 26);
  piece("copy the bytes", work, () => copy(chunks, target));
  piece("walk the columns (copy included)", work, () => void walk(chunks, buffers));
  piece("gather, arrays only", work, gather(blocks, withoutJson, usual.store));
  piece("gather, arrays and JSON", work, gather(blocks, mapping, usual.store));
  const batches = fillBatches(blocks, mapping, usual.store, BATCH_ROWS);
  piece("write batches", work, () => {
    for (const batch of batches) batch.body();
  });
  piece(
    "all: enrichment alone, arrays only",
    work,
    enrichAlone(chunks, withoutJson, usual.store, BATCH_ROWS),
  );
  piece(
    "all: enrichment alone, arrays and JSON",
    work,
    enrichAlone(chunks, mapping, usual.store, BATCH_ROWS),
  );
  const stores = [traces, largeTraces].filter((count) => count > 0);
  for (const count of stores) {
    if (only.length > 0 && !only.some((name) => "look up".startsWith(name))) continue;
    const { store, ...filled } = largeStore(keepBlocks(captured.traces), count);
    const keys = someKeys(LOOK_UPS, filled.traces);
    if (findAll(store, keys) !== LOOK_UPS) throw new Error("The store does not find its own traces");
    const name = `look up among ${filled.traces.toLocaleString("en-US")} traces`;
    piece(name, { rows: LOOK_UPS, bytes: keys.length }, () => void findAll(store, keys));
    const perTrace = (total: number): string => (total / filled.traces).toFixed(1);
    console.log(
      `${filled.traces.toLocaleString("en-US")} traces: ${perTrace(filled.bytes)} B each in the store, index included; written in ${perTrace(filled.writeMs * 1e6)} ns each, entered in ${perTrace(filled.enterMs * 1e6)} ns`,
    );
  }
  console.log(`\n${renderTable(results)}\n`);
  verdict(results);
}

function verdict(results: readonly Measured[]): void {
  for (const { name, rows, medianMs } of results) {
    if (!name.startsWith("all:")) continue;
    const rowsPerSecond = (rows / medianMs) * 1000;
    const isMet = rowsPerSecond >= TARGET_ROWS_PER_SECOND;
    console.log(
      `${name}: ${(rowsPerSecond / 1e6).toFixed(2)} million rows/s on one core, target 2.00: ${isMet ? "met" : "not met"}`,
    );
  }
}
