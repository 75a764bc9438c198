import * as v from "valibot";
import { type MonthSelection, monthsBetween } from "../plan/months.ts";
import { A_RATE, parseRate, type Rate } from "../throttle/rate.ts";
import { A_STATUS_ADDRESS, parseStatusAddress, type StatusAddress } from "./status-address.ts";

const YEAR_AND_MONTH = /^\d{4}(0[1-9]|1[0-2])$/;
/**
 * The months of DateTime64, the type of `start_time`: clients with odd clocks write times anywhere in them
 * (https://clickhouse.com/docs/sql-reference/data-types/datetime64).
 */
const FIRST_MONTH = "190001";
const LAST_MONTH = "229912";
const A_MONTH = `a month as YYYYMM from ${FIRST_MONTH} to ${LAST_MONTH}, such as 202501`;
const MONTHS = `${A_MONTH}, a range such as 202401..202411, several separated by commas, or all`;

/** The months of a command: one, a range, several of both, or all; each once, in the order of time. */
export const months: v.GenericSchema<string, MonthSelection> = v.pipe(
  v.string(),
  v.check((text) => readMonths(text) !== null, MONTHS),
  v.transform((text) => readMonths(text) ?? []),
);

function readMonths(text: string): MonthSelection | null {
  if (text.toLowerCase() === "all") return "all";
  const chosen = new Set<string>();
  for (const part of text.split(",")) {
    const [first = "", last = first, ...others] = part.split("..");
    if (!isMonth(first) || !isMonth(last) || last < first || others.length > 0) return null;
    for (const month of monthsBetween(first, last)) chosen.add(month);
  }
  return [...chosen].sort();
}

function isMonth(text: string): boolean {
  return YEAR_AND_MONTH.test(text) && text >= FIRST_MONTH && text <= LAST_MONTH;
}

/** A rate, or nothing. */
export const rateOrNone: v.GenericSchema<string, Rate | null> = v.pipe(
  v.string(),
  v.check((text) => text === "" || parseRate(text) !== null, A_RATE),
  v.transform((text) => (text === "" ? null : parseRate(text))),
);

/** Where the status page listens, or nothing. */
export const statusAddressOrNone: v.GenericSchema<string, StatusAddress | null> = v.pipe(
  v.string(),
  v.check((text) => text === "" || parseStatusAddress(text) !== null, A_STATUS_ADDRESS),
  v.transform((text) => (text === "" ? null : parseStatusAddress(text))),
);

/** Any text that is not empty. */
export const name = v.pipe(v.string(), v.minLength(1, "a name that is not empty"));

/** Any text, the empty one included. */
export const anyText = v.string();

/** A path that is not empty. */
export const path = v.pipe(v.string(), v.minLength(1, "a path that is not empty"));

/** Any text but the empty one, which is none. */
export const textOrNone = v.pipe(
  v.string(),
  v.transform((text) => (text.trim() === "" ? null : text)),
);

/** A path, or nothing. */
export const pathOrNone = v.pipe(
  v.string(),
  v.transform((text) => (text === "" ? null : text)),
);

/** Digits only: `1e3`, `0x10`, `1_000`, signs and fractions are refused rather than guessed at. */
export function wholeNumber(min: number, max: number): v.GenericSchema<string, number> {
  const accepted = `a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, accepted),
    v.transform(Number),
    v.minValue(min, accepted),
    v.maxValue(max, accepted),
  );
}

/** The same, or nothing: null. */
export function wholeNumberOrNone(min: number, max: number): v.GenericSchema<string, number | null> {
  const accepted = `nothing, or a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{0,15}$/, accepted),
    v.transform((text) => (text === "" ? null : Number(text))),
    v.check((number) => number === null || (number >= min && number <= max), accepted),
  );
}

/** One of several words, in any case. */
export function oneOf<const Word extends string>(words: readonly Word[]): v.GenericSchema<string, Word> {
  const accepted = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  return v.pipe(
    v.string(),
    v.transform((text) => text.toLowerCase()),
    v.picklist(words, accepted),
  );
}

/** Some of several words, in any case and order, separated by commas. */
export function listOf<const Word extends string>(
  words: readonly Word[],
): v.GenericSchema<string, readonly Word[]> {
  const accepted = `one or more of ${words.join(", ")}, separated by commas`;
  const given = (text: string): string[] => text.split(",").map((word) => word.trim().toLowerCase());
  return v.pipe(
    v.string(),
    v.check((text) => given(text).every((word) => words.some((known) => known === word)), accepted),
    v.transform((text) => words.filter((word) => given(text).includes(word))),
  );
}

/** A switch as variables and `--flag=value` spell it. */
export const toggle = v.pipe(
  v.string(),
  v.regex(/^(true|false|1|0)$/i, "true, false, 1 or 0"),
  v.transform((text) => text === "1" || text.toLowerCase() === "true"),
);

/**
 * The server's HTTP interface, normalised to `protocol://host[:port]`.
 * Credentials, path and query are refused: the client would take a path for the database and a query for settings, and
 * credentials in a URL end up in messages.
 */
export const serverUrl = v.pipe(
  v.string(),
  v.regex(
    /^https?:\/\/[^/?#\s]+/i,
    "a URL that begins with http:// or https://, such as http://localhost:8123",
  ),
  v.check(
    (text) => !text.includes("@"),
    "a URL without credentials; give them with --clickhouse-user and --clickhouse-password (or their variables)",
  ),
  v.check((text) => URL.canParse(text), "a valid URL, such as http://localhost:8123"),
  v.check(
    (text) => isOriginOnly(new URL(text)),
    "protocol, host and port only, such as http://localhost:8123; the database goes into --clickhouse-db",
  ),
  v.transform((text) => new URL(text).origin),
);

function isOriginOnly(url: URL): boolean {
  return url.pathname === "/" && url.search === "" && url.hash === "";
}
