import type { Compression } from "../connection.ts";
import type { QuerySettings } from "../statement.ts";
import { preferredInsertSettings, preferredReadSettings } from "./preferred-settings.ts";
import {
  LIFTED_LIMITS,
  REQUIRED_SETTINGS,
  type RequiredSetting,
  SERVER_DEFAULT,
  STATEMENT_KINDS,
  type StatementKind,
} from "./required-settings.ts";
import type { ServerSetting, ServerSettings, SettingsOfUser } from "./server-settings.ts";

/** What each kind of statement sends. */
export type StatementSettings = Readonly<Record<StatementKind, QuerySettings>>;

/** A required setting whose value differs for this user, who may not change it. */
export interface RefusedSetting {
  readonly name: string;
  readonly value: string;
  readonly needed: string;
  readonly reason: string;
}

/**
 * The settings that each kind of statement sends: the required ones whose value differs, so that a read-only user is not
 * rejected needlessly, and the limits that are to be lifted. {@link withPreferred} adds those of speed.
 */
export function statementSettings({ settings, base }: SettingsOfUser): StatementSettings {
  const entries = STATEMENT_KINDS.map((kind): [StatementKind, QuerySettings] => {
    const wanted = (table: readonly RequiredSetting[]): QuerySettings =>
      differing(
        settings,
        valuesOf(table, kind, settings).map(({ name, value }) => [name, value] as const),
      );
    const required = wanted(REQUIRED_SETTINGS);
    const limits = changeable(settings, wanted(LIFTED_LIMITS));
    const extra: QuerySettings = kind === "insert" ? INSERT_PARAMETERS : {};
    return [kind, { ...limits, ...required, ...base, ...extra }];
  });
  return Object.fromEntries(entries) as StatementSettings;
}

/**
 * Errors of views and of the commit must be in the status of the response, and the rows written in its header. A parameter of
 * the HTTP interface, which system.settings does not list.
 */
const INSERT_PARAMETERS: QuerySettings = { wait_end_of_query: 1 };

/** What statements prefer: reads blocks of about so many rows, and compression; inserts parts of so many rows. */
export interface Preferences {
  readonly pageRead: number;
  readonly traceRead: number;
  readonly insert: number;
  readonly compression: Compression;
}

/** Adds what statements prefer, as far as the user may change it. */
export function withPreferred(
  sent: StatementSettings,
  userSettings: SettingsOfUser,
  { pageRead, traceRead, insert, compression }: Preferences,
): StatementSettings {
  const preferred = (wanted: QuerySettings): QuerySettings => preferredSettings(userSettings, wanted);
  const reading = (blockRows: number): QuerySettings =>
    preferred(preferredReadSettings(blockRows, compression));
  return {
    ...sent,
    pageRead: { ...reading(pageRead), ...sent.pageRead },
    traceRead: { ...reading(traceRead), ...sent.traceRead },
    insert: { ...preferred(preferredInsertSettings(insert)), ...sent.insert },
  };
}

/** Those of the wanted settings that the server has at another value, and that the user may change. */
export function preferredSettings({ settings }: SettingsOfUser, wanted: QuerySettings): QuerySettings {
  return changeable(settings, differing(settings, Object.entries(wanted)));
}

/**
 * The settings required by these kinds of statements that this user has at other values and may not change, each once.
 */
export function refusedSettings(
  { settings }: SettingsOfUser,
  kinds: readonly StatementKind[] = STATEMENT_KINDS,
): RefusedSetting[] {
  const refused = new Map<string, RefusedSetting>();
  for (const kind of kinds) {
    for (const { name, value: needed, reason } of valuesOf(REQUIRED_SETTINGS, kind, settings)) {
      const found = settings.get(name);
      if (found === undefined || found.value === needed || mayBecome(found, needed)) continue;
      refused.set(name, { name, value: found.value, needed, reason });
    }
  }
  return [...refused.values()];
}

/** A setting that the server knows, and the value that a kind of statement needs. */
interface NeededValue {
  readonly name: string;
  readonly value: string;
  readonly reason: string;
}

/** What a table requires of a kind of statement, of those settings that the server knows. */
function valuesOf(
  table: readonly RequiredSetting[],
  kind: StatementKind,
  settings: ServerSettings,
): NeededValue[] {
  const values = new Map<string, NeededValue>();
  for (const row of table) {
    if (!row.statements.includes(kind)) continue;
    const names = row.isPrefix
      ? [...settings.keys()].filter((name) => name.startsWith(row.name))
      : [row.name];
    for (const name of names) {
      const found = settings.get(name);
      // The first row of a table that speaks of a name counts.
      if (found === undefined || values.has(name)) continue;
      const value = row.value === SERVER_DEFAULT ? found.default : row.value;
      values.set(name, { name, value, reason: row.reason });
    }
  }
  return [...values.values()];
}

/** Those settings that the server knows and has at another value. */
function differing(
  settings: ServerSettings,
  wanted: Iterable<readonly [name: string, value: string | number]>,
): QuerySettings {
  const entries = [...wanted].filter(([name, value]) => {
    const found = settings.get(name);
    return found !== undefined && found.value !== String(value);
  });
  return Object.fromEntries(entries);
}

/** Those settings that the user may give these values. */
function changeable(settings: ServerSettings, wanted: QuerySettings): QuerySettings {
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => {
      const found = settings.get(name);
      return found !== undefined && mayBecome(found, String(value));
    }),
  );
}

function mayBecome({ isFixed, min, max }: ServerSetting, value: string): boolean {
  if (isFixed) return false;
  const number = Number(value);
  return !(min !== null && number < Number(min)) && !(max !== null && number > Number(max));
}
