import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { UsageError } from "../errors.ts";

/** The variables of a `.env` file and where each stands. */
export interface DotenvFile {
  readonly values: Readonly<Record<string, string | undefined>>;
  /** The line that sets the variable, from 1; `null` where it is unknown. */
  lineOf(variable: string): number | null;
}

const EMPTY: DotenvFile = { values: {}, lineOf: () => null };

/** No file, or a directory of that name, which Python's virtual environments like to be. */
const ABSENT = new Set<unknown>(["ENOENT", "ENOTDIR", "EISDIR"]);

/**
 * Reads `.env` in `directory`; a missing file is an empty one.
 * Read here rather than by the runtime, so that the program behaves the same from source and compiled.
 * @throws {UsageError} when the file is there and can't be read.
 */
export function readDotenv(directory: string): DotenvFile {
  try {
    return parseDotenv(readFileSync(join(directory, ".env"), "utf8"));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (ABSENT.has(code)) return EMPTY;
    throw new UsageError(`.env in the working directory cannot be read: ${message}`);
  }
}

/** Parses the text of a `.env` file; of a variable that is set twice the last setting counts. */
export function parseDotenv(text: string): DotenvFile {
  return {
    values: parseEnv(text),
    lineOf: (variable) => {
      const setting = new RegExp(`^\\s*(export\\s+)?${variable}\\s*=`);
      const index = text.split("\n").findLastIndex((line) => setting.test(line));
      return index === -1 ? null : index + 1;
    },
  };
}
