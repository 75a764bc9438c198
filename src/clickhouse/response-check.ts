import type { Compression } from "./connection.ts";
import { foreignResponse, isClickHouse } from "./foreign-response.ts";
import { readText } from "./response.ts";
import { ServerError } from "./server-errors.ts";

/** The formats of responses that this program reads. */
export type ResponseFormat = "Native" | "JSONCompactEachRow";

/** The beginning of a response; header names are in lower case. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Of an error or a foreign page, no more is read. */
export const MAX_ERROR_BYTES = 64 * 1024;

/** Whether the response is ClickHouse's, and no exception. */
export function isSuccess({ status, headers }: ResponseHead): boolean {
  return status >= 200 && status < 300 && exceptionCode(headers) === 0 && isClickHouse(headers);
}

/** The error of a response that is not a success. `content` is its text; `password` is hidden in it. */
export async function responseError(
  { status, headers }: ResponseHead,
  content: AsyncIterable<Uint8Array>,
  { url, password, queryId }: { readonly url: string; readonly password: string; readonly queryId: string },
): Promise<ServerError> {
  // What is known already says more than that its text was cut off.
  const text = await readText(content, MAX_ERROR_BYTES).catch(() => "");
  if (!isClickHouse(headers)) {
    // Its beginning is shown: cut within an echoed password, that could no longer be found and hidden.
    return foreignResponse(url, status, headers, password === "" ? text : text.replaceAll(password, "***"));
  }
  const code = exceptionCode(headers);
  const words = text.trim() || `HTTP status ${status}, code ${code}, without a message`;
  return new ServerError(code, status, words, queryId);
}

/** Why a response cannot be trusted to be ClickHouse's, and to be whole when it ends; null when it can. */
export function responseProblem(
  headers: ReadonlyMap<string, string>,
  isFramed: boolean,
  format: ResponseFormat,
  compression: Compression,
): string | null {
  if (headers.get("x-clickhouse-format") !== format) {
    return `A response without the header X-ClickHouse-Format: ${format}, which is not ClickHouse's`;
  }
  if (!isFramed) {
    return "A response with neither Content-Length nor chunked encoding, whose end looks like a cut";
  }
  const encoding = contentEncoding(headers);
  if (encoding !== "none" && encoding !== compression) {
    return `A response with Content-Encoding: ${encoding}, which was not requested`;
  }
  return null;
}

/** The coding of a response's content; "identity" is none (RFC 9110, section 12.5.3). */
export function contentEncoding(headers: ReadonlyMap<string, string>): string {
  const encoding = (headers.get("content-encoding") ?? "identity").toLowerCase();
  return encoding === "identity" ? "none" : encoding;
}

function exceptionCode(headers: ReadonlyMap<string, string>): number {
  return Number(headers.get("x-clickhouse-exception-code") ?? 0);
}
