/**
 * Builds the standalone binary for this platform.
 *
 * Usage:   bun run build [--outfile <path>]
 * Output:  dist/clickhouse-backfill
 */
import { parseArgs } from "node:util";
import { buildBinary } from "./build/binary.ts";

const { values } = parseArgs({
  options: { outfile: { type: "string", default: "dist/clickhouse-backfill" } },
});
const built = await buildBinary(values.outfile);
console.log(
  `${built.path} (${(built.bytes / 1e6).toFixed(0)} MB), version ${built.version}, commit ${built.commit}`,
);
