import { literal } from "../../src/clickhouse/sql.ts";

/** What a profile forbids of a setting: any change, or values beyond bounds. */
export type Constraint = "const" | { readonly min?: string; readonly max?: string };

/** A user with the profile that holds for each query before the query's own settings do. */
export interface User {
  readonly password: string;
  /** In the order in which they apply, as `compatibility` gives others their values. `readonly` applies last. */
  readonly settings: Readonly<Record<string, string>>;
  readonly constraints: Readonly<Record<string, Constraint>>;
}

export type Users = ReadonlyMap<string, User>;

/**
 * Reads a file of users: `{"NAME": {"password": "…", "settings": {"final": "1"}, "constraints": {"limit": "const",
 * "max_threads": {"min": "1", "max": "4"}}}}`. Every part may be left out.
 * @throws {Error} that says what is wrong with the text
 */
export function parseUsers(text: string): Users {
  const users = new Map<string, User>();
  for (const [name, value] of Object.entries(record(JSON.parse(text), "the file"))) {
    const { password = "", settings = {}, constraints = {}, ...rest } = record(value, name);
    const [unknown] = Object.keys(rest);
    if (unknown !== undefined) throw new Error(`${name}: ${unknown}: no such part`);
    users.set(name, {
      password: String(password),
      settings: texts(settings, `${name}: settings`),
      constraints: Object.fromEntries(
        Object.entries(record(constraints, `${name}: constraints`)).map(([setting, bounds]) => [
          settingName(setting),
          bounds === "const" ? bounds : texts(bounds, `${name}: constraints: ${setting}`),
        ]),
      ),
    });
  }
  return users;
}

/**
 * The engine's configuration with a profile for each user who has constraints: the engine keeps to those by itself, and
 * shows them in system.settings. Null: nobody has any.
 * @param path where the configuration will be
 */
export function engineConfiguration(users: Users, path: string): string | null {
  const profiles = [...users].flatMap(([name, { constraints }]) => {
    const rules = Object.entries(constraints).map(
      ([setting, rule]) => `<${setting}>${bounds(rule)}</${setting}>`,
    );
    const profile = profileOf(users, name);
    return profile === null ? [] : [`<${profile}><constraints>${rules.join("")}</constraints></${profile}>`];
  });
  if (profiles.length === 0) return null;
  return `<clickhouse>
<users_config>${escaped(path)}</users_config>
<profiles><default></default>${profiles.join("\n")}</profiles>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users>
<quotas><default></default></quotas>
</clickhouse>
`;
}

/** Assignments of a query, as SQL. */
export interface QueryAssignments {
  /** Those that no profile binds. */
  readonly first: readonly string[];
  readonly own: readonly string[];
}

/**
 * The SET statements that put a connection under a user's profile and then apply a query's own settings. As few as can be:
 * the engine runs each under what the ones before have set, where a server applies all of them before it runs anything.
 * Only constraints and `readonly` need statements of their own, since they bind what comes after them. (The engine takes
 * constraints from a profile that is set, and no values.)
 */
export function settingStatements(users: Users, name: string, { first, own }: QueryAssignments): string[] {
  const { readonly, ...settings } = users.get(name)?.settings ?? {};
  const values = Object.entries(settings).map(([setting, value]) => `${setting} = ${literal(value)}`);
  const profile = profileOf(users, name);
  const bounds = [
    ...(profile === null ? [] : [`profile = ${literal(profile)}`]),
    ...(readonly === undefined ? [] : [`readonly = ${literal(readonly)}`]),
  ];
  const statements =
    bounds.length === 0
      ? [[...first, ...values, ...own]]
      : [[...first, ...values], ...bounds.map((bound) => [bound]), own];
  return statements
    .filter((assignments) => assignments.length > 0)
    .map((assignments) => `SET ${assignments.join(", ")}`);
}

/** The engine's name of a user's profile: names of users need not be names of XML elements. */
function profileOf(users: Users, name: string): string | null {
  const hasConstraints = Object.keys(users.get(name)?.constraints ?? {}).length > 0;
  return hasConstraints ? `user_${[...users.keys()].indexOf(name)}` : null;
}

function bounds(rule: Constraint): string {
  if (rule === "const") return "<readonly/>";
  return Object.entries(rule)
    .map(([bound, value]) => `<${bound}>${escaped(value)}</${bound}>`)
    .join("");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function texts(value: unknown, where: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record(value, where)).map(([name, text]) => [settingName(name), String(text)]),
  );
}

/** Names go into SQL and XML as they are. */
function settingName(name: string): string {
  if (!/^\w+$/.test(name)) throw new Error(`${JSON.stringify(name)}: not the name of a setting`);
  return name;
}

function record(value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Error(`${where}: expected an object`);
  }
  return value as Record<string, unknown>;
}
