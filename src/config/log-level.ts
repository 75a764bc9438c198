import * as v from "valibot";

/** From the most to the least talkative. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

const ACCEPTED = "trace, debug, info, warn or error";

/** A level's name in any case. */
export const logLevel = v.pipe(
  v.string(),
  v.transform((text) => text.toLowerCase()),
  v.picklist(LOG_LEVELS, ACCEPTED),
);

/** Targets that mean this program in `RUST_LOG`. */
const OWN_TARGET = /^clickhouse[-_]backfill(::|$)/;

/**
 * The level that `RUST_LOG` sets for this program, or `null` where it sets none.
 * Its form is a list of directives `level`, `target` or `target=level`: one that names `clickhouse_backfill` beats a bare
 * level, other targets do not concern us, and what makes no sense is passed over, since the variable may be meant for
 * other programs. `off` counts as `error`. See https://docs.rs/env_logger/latest/env_logger/#enabling-logging
 */
export function levelFromRustLog(value: string): string | null {
  let bare: string | null = null;
  let own: string | null = null;
  for (const directive of (value.split("/", 1)[0] ?? "").split(",")) {
    const [left = "", right] = directive.trim().split("=", 2);
    if (OWN_TARGET.test(left)) own = (right === undefined ? "trace" : knownLevel(right)) ?? own;
    else if (right === undefined) bare = knownLevel(left) ?? bare;
  }
  return own ?? bare;
}

function knownLevel(text: string): LogLevel | null {
  const level = text.trim().toLowerCase();
  if (level === "off") return "error";
  return LOG_LEVELS.find((known) => known === level) ?? null;
}
