/**
 * Changes single values of copied months at random, and has `verify` find each of them and nothing else.
 *
 * Usage:   bun run test:verify [--changes N] [--seed N]
 *          --changes  how many, at least (default 2000)
 *          --seed     of the first month (default: random); the others have the numbers that follow
 * Output:  a line for each month; where a change was missed, what it was, and exit code 1
 */
import { parseArgs } from "node:util";
import { testServer } from "../../scripts/testbed/server.ts";
import { playRound } from "./round.ts";

const CHANGES_A_MONTH = 150;

const { values } = parseArgs({
  options: { changes: { type: "string", default: "2000" }, seed: { type: "string" } },
});
const wanted = Number(values.changes);
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
if (!Number.isSafeInteger(wanted) || !Number.isSafeInteger(seed)) {
  console.error("--changes and --seed: expected whole numbers");
  process.exit(1);
}
const server = await testServer();
let found = 0;
for (let month = 0; found < wanted; month++) {
  const changes = Math.min(CHANGES_A_MONTH, wanted - found);
  found += await playRound(server, seed + month, changes);
  console.log(`${found} of ${wanted} changes planted and found, seed ${seed + month}`);
}
console.log(`${found} changes from seed ${seed}: each was found, and nothing else`);
process.exit(0);
