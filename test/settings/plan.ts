import type { TestServer } from "../../scripts/testbed/server.ts";
import { literal } from "../../src/clickhouse/sql.ts";
import { COMBINATIONS, LEFT_OUT, TEXT_VALUES, THROTTLES } from "./adverse-values.ts";
import { type Trial, trialOf } from "./trial.ts";

/** A row of system.settings. */
interface Setting {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly obsolete: number;
}

/** Everything that is to be tried on the engine at hand. */
export interface Plan {
  readonly trials: readonly Trial[];
  /** Settings that the engine knows, and values that it does not take. */
  readonly settings: number;
  readonly refusedValues: number;
}

const NUMBERS = ["0", "1", "3", "9223372036854775807"];
const FRACTIONS = ["0", "0.001", "1", "1e18"];
const CHECKS_AT_A_TIME = 8;

/** Plans a run for each value of each setting that differs from what the engine has. Settings without effect share one. */
export async function planTrials(server: TestServer): Promise<Plan> {
  const settings = await server.queryJson<Setting>(
    "SELECT name, type, value, toUInt8(is_obsolete) AS obsolete FROM system.settings ORDER BY name",
  );
  const single: Trial[] = [];
  const obsolete: Record<string, string> = {};
  let refusedValues = 0;
  const planOne = async (setting: Setting): Promise<Trial[]> => {
    const values = (await valuesOf(server, setting)).filter((value) => value !== setting.value);
    const taken: Trial[] = [];
    for (const value of new Set(values)) {
      if (!(await isTaken(server, setting.name, value))) refusedValues++;
      else if (setting.obsolete === 1) obsolete[setting.name] = value;
      else taken.push(trialOf({ [setting.name]: value }));
    }
    return taken;
  };
  for (let at = 0; at < settings.length; at += CHECKS_AT_A_TIME) {
    single.push(...(await Promise.all(settings.slice(at, at + CHECKS_AT_A_TIME).map(planOne))).flat());
  }
  const combined = { ...trialOf(obsolete), name: "obsolete settings, all at once" };
  const trials = [...single, combined, ...COMBINATIONS];
  return {
    trials: [...new Map(trials.map((trial) => [trial.name, trial])).values()],
    settings: settings.length,
    refusedValues,
  };
}

async function valuesOf(server: TestServer, setting: Setting): Promise<readonly string[]> {
  const { name, type, value } = setting;
  if (name in LEFT_OUT) return [];
  const known = TEXT_VALUES[name] ?? THROTTLES[name];
  if (type === "Bool") return [value === "1" ? "0" : "1"];
  if (type === "BoolAuto") return ["0", "1"];
  if (/^(Float|Double)/.test(type)) return known ?? FRACTIONS;
  if (/^(U?Int\d+|NonZeroUInt\d+|MaxThreads|Seconds|Milliseconds)/.test(type)) return known ?? NUMBERS;
  if (type === "String" || type === "Map") return known ?? (type === "Map" ? [] : ["x"]);
  if (type === "Char") return known ?? [";"];
  return known ?? (await enumeration(server, name));
}

/** The values that an error lists when it is given none of them. */
async function enumeration(server: TestServer, name: string): Promise<string[]> {
  const words = await server.command(`SET ${name} = 'no such value'`).then(
    () => "",
    (error: Error) => error.message,
  );
  const list = /(?:one of|among|values?:?)[^['(]*[[(]([^\])]*)[\])]/i.exec(words)?.[1] ?? "";
  const quoted = [...list.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map((match) => match[1] ?? "");
  if (quoted.length === 0) UNREAD.push(`${name}: ${words.slice(0, 160)}`);
  return quoted;
}

/** Enumerations whose values the engine does not list. */
export const UNREAD: string[] = [];

async function isTaken(server: TestServer, name: string, value: string): Promise<boolean> {
  return await server.command(`SET ${name} = ${literal(value)}`).then(
    () => true,
    () => false,
  );
}
