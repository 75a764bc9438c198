import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import { createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { EngineException } from "./exception.ts";
import { parseStatement, type Statement } from "./statement.ts";

/** What a request runs, and where the data of an insert comes from. */
export interface RequestText {
  readonly statement: Statement;
  /** The whole statement; of an insert with data, everything up to the data. */
  readonly sql: Buffer;
  /** The data of an insert; empty for other statements. Throws when the client cuts the connection. */
  readonly data: AsyncIterable<Uint8Array>;
  /** How the data is compressed, in the words of FROM INFILE's COMPRESSION clause. */
  readonly compression: string;
}

/**
 * Reads as much of the request as it takes to know the statement: the query parameter, a line break, then the body.
 * @throws {EngineException} when the body's encoding is unknown or the statement too long
 */
export async function readRequestText(request: IncomingMessage, query: string): Promise<RequestText> {
  const encoding = request.headers["content-encoding"]?.toLowerCase() ?? "identity";
  const compression = encoding === "identity" ? "none" : encoding;
  if (compression !== "none" && !DECOMPRESSORS.has(encoding)) {
    throw new EngineException(89, "UNKNOWN_COMPRESSION_METHOD", `Unknown compression method ${encoding}`);
  }
  if (query !== "") {
    const text = Buffer.from(`${query}\n`);
    const statement = parseStatement(text, false);
    // The engine decompresses faster than we do, but can't when plain data comes first.
    if (statement.kind === "insert" && statement.dataStart === text.length) {
      return { statement, sql: text, data: request, compression };
    }
  }
  const body = decoded(request, encoding)[Symbol.asyncIterator]();
  let text = query === "" ? Buffer.alloc(0) : Buffer.from(`${query}\n`);
  let parsedBytes = -1;
  for (;;) {
    // What follows the head changes nothing: a chunk may end far behind it.
    const head = text.subarray(0, MAX_HEAD_BYTES);
    const statement = head.length > parsedBytes ? parseStatement(head, false) : undefined;
    parsedBytes = head.length;
    if (statement?.kind === "insert") {
      const { dataStart } = statement;
      return {
        statement,
        sql: text.subarray(0, dataStart),
        data: concatenated(text.subarray(dataStart), body),
        compression: "none",
      };
    }
    const next = await body.next();
    if (next.done === true) break;
    text = Buffer.concat([text, next.value]);
    if (text.length > MAX_STATEMENT_BYTES) {
      throw new EngineException(
        229,
        "QUERY_IS_TOO_LARGE",
        `Statement is longer than ${MAX_STATEMENT_BYTES} bytes`,
      );
    }
  }
  const statement = parseStatement(text, true);
  const end = statement.kind === "insert" ? statement.dataStart : text.length;
  const data = concatenated(text.subarray(end), body);
  return { statement, sql: text.subarray(0, end), data, compression: "none" };
}

/** Within how many bytes an insert's data begins, as a rule, so that it can be passed on as it comes: the server's max_query_size. */
const MAX_HEAD_BYTES = 262_144;
const MAX_STATEMENT_BYTES = 64 * 1_048_576;

/** By Content-Encoding, which is also the name that COMPRESSION clauses use. */
const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["deflate", createInflate],
  ["zstd", createZstdDecompress],
]);

function decoded(request: IncomingMessage, encoding: string): AsyncIterable<Uint8Array> {
  const decompressor = DECOMPRESSORS.get(encoding)?.();
  if (decompressor === undefined) return request;
  request.on("error", (error) => decompressor.destroy(error));
  return request.pipe(decompressor);
}

async function* concatenated(
  head: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}
