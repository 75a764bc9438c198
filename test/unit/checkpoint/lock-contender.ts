// Tries to acquire the lock that its argument names once a file `<lock>.go` appears, and says how that went. Holds it for a moment,
// so that contenders that come late meet a live owner.
import { existsSync } from "node:fs";
import { acquireLock } from "../../../src/checkpoint/lock.ts";

const path = process.argv[2] ?? "";
process.stdout.write("ready\n");
while (!existsSync(`${path}.go`));
try {
  const { notice } = acquireLock(path);
  process.stdout.write(`acquired${notice === null ? "" : " by take-over"}\n`);
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.name : error}\n`);
}
// Until stdin closes.
for await (const _ of Bun.stdin.stream());
