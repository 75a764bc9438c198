import * as v from "valibot";
import { UsageError } from "../errors.ts";
import type { DotenvFile } from "./dotenv.ts";
import type { AnyOptionSpec, OptionCommand } from "./option-spec.ts";
import { OPTION_LIST, OPTIONS, type Settings, takesOption } from "./options.ts";
import { quoteValue } from "./quote-value.ts";

/** Everything that can set an option; an earlier member beats a later one, and all beat the defaults. */
export interface Sources {
  /** Values by flag name, without the dashes. */
  readonly flags: ReadonlyMap<string, string>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly dotenv: DotenvFile;
}

/** Where a value came from, the strongest first. */
const PLACES = ["flag", "environment", "dotenv", "default"] as const;
type Place = (typeof PLACES)[number];

interface Given {
  readonly text: string;
  readonly place: Place;
  /** How messages name the place that the value came from. */
  readonly origin: string;
}

/**
 * The settings of a command: flag before environment before `.env` before default.
 * An empty variable counts as not set; an empty flag is a value. The password and the password file are two forms of one
 * setting: of the two, the one from the stronger source counts, and the other is empty.
 * @throws {UsageError} for a missing or invalid value: one line that names its origin, the value and what is accepted.
 */
export function resolveSettings(sources: Sources, command: OptionCommand = "run"): Settings {
  const values: Record<string, unknown> = {};
  const origins: Record<string, string> = {};
  const defaults = new Set<string>();
  for (const [name, spec] of OPTION_LIST) {
    // What another command is set to is of no concern, be it valid or not.
    const given = takesOption(command, spec)
      ? find(spec, sources, spec.defaultOf?.[command] ?? spec.default)
      : find(spec, NOTHING_GIVEN, spec.default ?? spec.defaultOf?.[command] ?? "");
    values[name] = validate(spec, given);
    origins[name] = given.origin;
    if (given.place === "default") defaults.add(name);
  }
  const settings = values as Settings;
  checkTablesDiffer(settings, origins);
  const workers =
    settings.engine === "server" && defaults.has("parallelWorkers")
      ? { parallelWorkers: SERVER_ENGINE_WORKERS }
      : {};
  return { ...settings, ...workers, ...onePassword(settings, sources) };
}

/** Each is a statement that the server runs with several threads. */
const SERVER_ENGINE_WORKERS = 2;

const NOTHING_GIVEN: Sources = {
  flags: new Map(),
  environment: {},
  dotenv: { values: {}, lineOf: () => null },
};

function onePassword(
  { clickhousePassword, clickhousePasswordFile }: Settings,
  sources: Sources,
): Pick<Settings, "clickhousePassword" | "clickhousePasswordFile"> {
  const text = find(OPTIONS.clickhousePassword, sources);
  const file = find(OPTIONS.clickhousePasswordFile, sources);
  if (file.place === "flag" && file.text === "") {
    throw new UsageError(`${file.origin} "": expected a path that is not empty`);
  }
  if (file.place === text.place && file.place !== "default") {
    throw new UsageError(`${file.origin}: set it or ${text.origin}, not both`);
  }
  return PLACES.indexOf(file.place) < PLACES.indexOf(text.place)
    ? { clickhousePassword: "", clickhousePasswordFile }
    : { clickhousePassword, clickhousePasswordFile: null };
}

function find(spec: AnyOptionSpec, sources: Sources, preset = spec.default): Given {
  const flagged = spec.flag === null ? undefined : sources.flags.get(spec.flag);
  if (flagged !== undefined) return { text: flagged, place: "flag", origin: `--${spec.flag}` };
  const given =
    findVariable(spec, "environment", sources.environment, () => null) ??
    findVariable(spec, "dotenv", sources.dotenv.values, sources.dotenv.lineOf);
  if (given !== null) return given;
  if (preset !== null) return { text: preset, place: "default", origin: `--${spec.flag}` };
  throw new UsageError(`--${spec.flag} (or ${spec.variable}) is missing: expected ${acceptedBy(spec)}`);
}

function findVariable(
  spec: AnyOptionSpec,
  place: Place,
  values: Sources["environment"],
  lineOf: DotenvFile["lineOf"],
): Given | null {
  const own = values[spec.variable];
  if (own) return { text: own, place, origin: originOf(spec.variable, lineOf) };
  const borrowed = spec.borrowed && values[spec.borrowed.name];
  const text = borrowed ? spec.borrowed?.read(borrowed) : undefined;
  return text && spec.borrowed ? { text, place, origin: originOf(spec.borrowed.name, lineOf) } : null;
}

function originOf(variable: string, lineOf: DotenvFile["lineOf"]): string {
  const line = lineOf(variable);
  return line === null ? variable : `${variable} (.env:${line})`;
}

function validate(spec: AnyOptionSpec, { text, origin }: Given): unknown {
  const result = v.safeParse(spec.schema, text, { abortPipeEarly: true });
  if (result.success) return result.output;
  const shown = spec.secret ? "" : ` ${quoteValue(spec.redact?.(text) ?? text)}`;
  throw new UsageError(`${origin}${shown}: expected ${result.issues[0].message}`);
}

function acceptedBy(spec: AnyOptionSpec): string {
  return v.safeParse(spec.schema, "", { abortPipeEarly: true }).issues?.[0].message ?? "a value";
}

function checkTablesDiffer(settings: Settings, origins: Readonly<Record<string, string>>): void {
  const { sourceTable, tracesTable, targetTable } = settings;
  for (const [name, table, spec] of [
    ["targetTable", sourceTable, OPTIONS.sourceTable],
    ["targetTable", tracesTable, OPTIONS.tracesTable],
  ] as const) {
    if (table !== targetTable) continue;
    throw new UsageError(
      `${origins[name]} ${quoteValue(targetTable)}: expected another table than --${spec.flag}`,
    );
  }
}
