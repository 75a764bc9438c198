import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { identifier } from "../../src/clickhouse/sql.ts";
import { selectList } from "../../src/copy/read-page.ts";
import { BENCH_DIRECTORY, type Dataset } from "./dataset.ts";
import { capture } from "./micro/capture.ts";
import { fillBatches, keepBlocks } from "./micro/pieces.ts";
import { storeOf } from "./micro/stores.ts";
import { BATCH_ROWS } from "./pages.ts";

/** The tool's requests, for a program that sends the same and does no work in between. */
export interface ToolRequests {
  readonly selectList: string;
  readonly insertColumns: string;
  readonly bodyPath: string;
  readonly bodyRows: number;
}

export const REQUESTS_PATH = join(BENCH_DIRECTORY, "requests.json");

/** Makes the body of one of the tool's inserts and notes where it is. */
export async function noteToolRequests(dataset: Dataset): Promise<void> {
  const { mapping, observations, traces } = await capture(dataset, BATCH_ROWS);
  const { store } = storeOf(keepBlocks(traces), true);
  const [batch] = fillBatches(keepBlocks(observations), mapping, store, BATCH_ROWS);
  if (batch === undefined) throw new Error("There are no observations");
  const bodyPath = join(BENCH_DIRECTORY, "insert-body.native");
  writeFileSync(bodyPath, Buffer.concat(batch.body()));
  const names = [
    ...mapping.copied.map(({ name }) => name),
    ...mapping.derived.map(({ column: { name } }) => name),
  ];
  const requests: ToolRequests = {
    selectList: selectList(mapping),
    insertColumns: names.map(identifier).join(", "),
    bodyPath,
    bodyRows: batch.rows,
  };
  writeFileSync(REQUESTS_PATH, JSON.stringify(requests));
}
