import { ServerError } from "./server-errors.ts";

/** The whole response as text, or its first `maxBytes` bytes; chunks need to be good only until the next. */
export async function readText(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(Buffer.from(chunk));
    bytes += chunk.length;
    if (bytes >= maxBytes) break;
  }
  return Buffer.concat(parts).toString("utf8", 0, Math.min(bytes, maxBytes));
}

/** The lines of a response, empty ones left out. */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}

/**
 * The exception that the server wrote into a response it had already begun, if `bytes` - what follows the last whole
 * block - hold one. Servers from 25.11 on frame it with a tag that they announce in a header; older ones write
 * `Code: N. DB::Exception: …` as plain text, and may have dropped the rest of a block before it.
 */
export function exceptionIn(
  bytes: Buffer,
  tag: string | undefined,
  queryId: string | null = null,
): ServerError | null {
  const text = tag === undefined ? plainException(bytes) : taggedException(bytes, tag);
  const code = /^\s*Code: (\d+)\. /.exec(text)?.[1];
  return code === undefined ? null : new ServerError(Number(code), 200, text.trim(), queryId);
}

const MAX_PLAIN_BYTES = 65_536;

/** The exception in plain text: all of the bytes, or what stands at their end, after part of a block. */
function plainException(bytes: Buffer): string {
  const all = bytes.toString("utf8", 0, MAX_PLAIN_BYTES);
  if (/^\s*Code: \d+\. /.test(all)) return all;
  const tail = bytes.toString("utf8", Math.max(0, bytes.length - MAX_PLAIN_BYTES));
  // Data may hold the text of an exception too. The server's own is the last, ends with its version, and nothing follows.
  if (!/\(version [^()]*(\([^()]*\))?\)\s*$/.test(tail)) return "";
  const found = [...tail.matchAll(/(?:Code: \d+\. DB::[A-Za-z:]*Exception: )+/g)].at(-1);
  return found === undefined ? "" : tail.slice(found.index);
}

function taggedException(bytes: Buffer, tag: string): string {
  const opening = `\r\n__exception__\r\n${tag}\r\n`;
  const start = bytes.lastIndexOf(opening);
  if (start < 0) return "";
  const text = bytes.toString("utf8", start + opening.length);
  // The message is followed by "<length> <tag>\r\n__exception__\r\n".
  const closing = text.lastIndexOf(` ${tag}\r\n__exception__`);
  return closing < 0 ? text : text.slice(0, closing).replace(/\n?\d+$/, "");
}

/** What went wrong on the way, as Node and Bun report it: `ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:8123`. */
export function describeNetworkError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return code === "" || error.message.includes(code) ? error.message : `${code}: ${error.message}`;
}
