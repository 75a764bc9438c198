/** What a header field can carry: no control characters, and no space at either end (RFC 9110, section 5.5). */
const HEADER_TEXT = /^(?:[^\p{Cc}\s](?:[^\p{Cc}]*[^\p{Cc}\s])?)?$/u;

/**
 * Returns the headers with the user and the password. ClickHouse's own headers take any user name, where Basic authentication ends it at the first
 * colon; text goes as UTF-8. Basic authentication serves what a header cannot carry.
 */
export function credentialHeaders(user: string, password: string): Record<string, string> {
  if (HEADER_TEXT.test(user) && HEADER_TEXT.test(password)) {
    return { "X-ClickHouse-User": user, "X-ClickHouse-Key": password };
  }
  return { Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
}

/** Whether no header can say this user name and password together. */
export function cannotAuthenticate(user: string, password: string): boolean {
  return user.includes(":") && !(HEADER_TEXT.test(user) && HEADER_TEXT.test(password));
}
