import { parseDotenv } from "../../../src/config/dotenv.ts";
import type { OptionCommand } from "../../../src/config/option-spec.ts";
import type { Settings } from "../../../src/config/options.ts";
import { resolveSettings } from "../../../src/config/resolve-settings.ts";

/** What a test sets, by place; the partition is set by flag unless the test does it. */
export interface Given {
  readonly flags?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly dotenv?: string;
  /** The command whose options they are; `run` unless given. */
  readonly command?: OptionCommand;
}

export function settingsFrom({ flags = {}, environment = {}, dotenv = "", command }: Given): Settings {
  const sources = {
    flags: new Map(Object.entries({ partition: "202501", ...flags })),
    environment,
    dotenv: parseDotenv(dotenv),
  };
  return resolveSettings(sources, command);
}

/** The message of the error that `action` throws. */
export function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error("Nothing was thrown");
}
