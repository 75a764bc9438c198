import { join } from "node:path";
import { buildBinary } from "../../scripts/build/binary.ts";
import { temporaryDirectory } from "./cli-directory.ts";

let built: Promise<string> | undefined;

/** Path of the compiled program, built once per test process by what builds the released one. */
export function compiledBinary(): Promise<string> {
  built ??= buildBinary(join(temporaryDirectory("clickhouse-backfill-binary-"), "clickhouse-backfill")).then(
    ({ path }) => path,
  );
  return built;
}
