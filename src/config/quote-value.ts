const MAX_SHOWN_LENGTH = 80;

/** A value as a one-line message shows it: quoted, control characters escaped, long ones cut. */
export function quoteValue(value: string): string {
  return JSON.stringify(value.length > MAX_SHOWN_LENGTH ? `${value.slice(0, MAX_SHOWN_LENGTH)}…` : value);
}

/** A URL, however malformed, without what may be credentials: everything before an `@`, and the query. */
export function redactUrl(text: string): string {
  const protocol = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  const at = text.lastIndexOf("@");
  const withoutUser = at === -1 ? text : `${protocol}***@${text.slice(at + 1)}`;
  return withoutUser.replace(/[?#].*$/s, "?***");
}
