import { writeFileSync } from "node:fs";
import { UsageError } from "../errors.ts";

/** The file of `--summary-file`. */
export interface SummaryFile {
  /** Writes the report. @throws {UsageError} where the file cannot be written. */
  write(json: string): void;
}

/**
 * Makes the file, empty, so that a path that cannot be written is known before the run and not after it; null: there is none.
 * @throws {UsageError} where it cannot be made.
 */
export function createSummaryFile(path: string | null): SummaryFile {
  const write = (text: string): void => {
    if (path === null) return;
    try {
      writeFileSync(path, text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UsageError(
        `--summary-file ${JSON.stringify(path)}: expected a file that can be written: ${reason}`,
      );
    }
  };
  write("");
  return { write };
}
