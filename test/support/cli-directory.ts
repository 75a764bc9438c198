import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Makes a directory that goes away when this process has ended. Another process sees to it: bun test runs no exit
 * handlers.
 */
export function temporaryDirectory(prefix: string): string {
  const path = mkdtempSync(join(tmpdir(), prefix));
  const cleaner = Bun.spawn(["sh", "-c", 'cat > /dev/null; rm -rf -- "$0"', path], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  cleaner.unref();
  return path;
}
