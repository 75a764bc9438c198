import { ForeignResponseError } from "./server-errors.ts";

const MAX_WORDS = 120;

/** Whether ClickHouse itself responded: each of its responses has a header of its own. */
export function isClickHouse(headers: ReadonlyMap<string, string>): boolean {
  for (const name of headers.keys()) if (name.startsWith("x-clickhouse-")) return true;
  return false;
}

/** The error of a response that is not ClickHouse's: says what responded instead, with its first words. */
export function foreignResponse(
  url: string,
  status: number,
  headers: ReadonlyMap<string, string>,
  text: string,
): ForeignResponseError {
  const location = headers.get("location");
  const who = `not ClickHouse, with HTTP status ${status}`;
  if (status >= 300 && status < 400 && location !== undefined) {
    return new ForeignResponseError(
      status,
      `${url} responded, ${who}: a redirect to ${location}, which is not followed. Use the address of the ClickHouse server itself.`,
    );
  }
  return new ForeignResponseError(
    status,
    `${url} responded, ${who} and ${describeContent(headers, text)}. Is there a proxy, a load balancer or a login page in between?`,
  );
}

function describeContent(headers: ReadonlyMap<string, string>, text: string): string {
  const words = text.replace(/\s+/g, " ").trim();
  if (words === "") return "no content";
  const type = headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  const what =
    type === "text/html" || /^<(!doctype html|html)/i.test(words)
      ? "a page"
      : type === "application/json"
        ? "JSON"
        : "text";
  const beginning = words.length <= MAX_WORDS ? words : `${words.slice(0, MAX_WORDS)}…`;
  return `${what} that begins ${JSON.stringify(beginning)}`;
}
