import { identifier, literal } from "../sql.ts";
import type { RefusedSetting } from "./statement-settings.ts";

/** The message of a run that is refused for the settings of its user: each one, and what an administrator would run. */
export function describeRefusedSettings(
  url: string,
  user: string,
  refused: readonly RefusedSetting[],
): string {
  const lines = refused.map(
    ({ name, value, needed, reason }) =>
      `${name} is ${literal(value)} and must be ${literal(needed)}: ${reason}\n  ALTER USER ${identifier(user)} SETTINGS ${name} = ${literal(needed)}`,
  );
  return [
    `ClickHouse at ${url} does not let user ${JSON.stringify(user)} change settings that decide what is copied`,
    ...lines,
    "An administrator can run these statements, or set the values in the user's profile, or take the constraint or readonly = 1 away.",
  ].join("\n");
}

/** The message of a run whose user may read only. */
export function describeReadOnlyUser(url: string, user: string, readonly: string): string {
  return [
    `ClickHouse at ${url} lets user ${JSON.stringify(user)} read only: readonly is ${readonly}, which forbids INSERT`,
    "Use a user with readonly = 0, or --dry-run.",
  ].join("\n");
}
