import { quoted } from "../quoted.ts";

const MAX_SHOWN_LENGTH = 80;
/** A URL may hold credentials, and so may what stands where one was meant. */
const MAY_HOLD_CREDENTIALS = /:\/\/|:.*@/s;
/** A quote without its end, and other slips, make the next lines of `.env` a part of the value, assigned or not. */
const AFTER_PASSWORD = /(clickhouse_password|password\W{0,3}[=:]).+/is;

/** A value as a one-line message shows it: quoted, control characters escaped, long ones cut, without credentials. */
export function quoteValue(value: string): string {
  const withoutUrl = MAY_HOLD_CREDENTIALS.test(value) ? redactUrl(value) : value;
  const shown = withoutUrl.replace(AFTER_PASSWORD, "$1***");
  return quoted(shown.length > MAX_SHOWN_LENGTH ? `${shown.slice(0, MAX_SHOWN_LENGTH)}…` : shown);
}

/** A URL, however malformed, without what may be credentials: everything before an `@`, and the query. */
export function redactUrl(text: string): string {
  const protocol = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  const at = text.lastIndexOf("@");
  const withoutUser = at === -1 ? text : `${protocol}***@${text.slice(at + 1)}`;
  return withoutUser.replace(/[?#].*$/s, "?***");
}
