import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { EngineException } from "./exception.ts";
import { decodeLz4Frame } from "./lz4.ts";
import { parseStatement, type Statement } from "./statement.ts";

/** What a request asks to run, and where the data of an insert comes from. */
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
  if (!ENGINE_COMPRESSION.has(encoding)) {
    throw new EngineException(89, "UNKNOWN_COMPRESSION_METHOD", `Unknown compression method ${encoding}`);
  }
  const compression = ENGINE_COMPRESSION.get(encoding) ?? "none";
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
  for (;;) {
    const statement = text.length <= MAX_HEAD_BYTES ? parseStatement(text, false) : undefined;
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
  return { statement, sql: text, data: nothing(), compression: "none" };
}

/** Within how many bytes an insert's data must begin: the server's max_query_size. */
const MAX_HEAD_BYTES = 262_144;
const MAX_STATEMENT_BYTES = 64 * 1_048_576;

/** Content-Encoding to the name of the COMPRESSION clause. */
const ENGINE_COMPRESSION = new Map([
  ["identity", "none"],
  ["gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
  ["lz4", "lz4"],
  ["xz", "xz"],
  ["bz2", "bz2"],
]);

const DECOMPRESSORS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ["gzip", createGunzip],
  ["deflate", createInflate],
  ["br", createBrotliDecompress],
  ["zstd", createZstdDecompress],
]);

function decoded(request: IncomingMessage, encoding: string): AsyncIterable<Uint8Array> {
  if (encoding === "identity") return request;
  if (encoding === "lz4") return decodeLz4Frame(request);
  const make = DECOMPRESSORS.get(encoding);
  if (make === undefined) {
    const detail = `The development server takes Content-Encoding ${encoding} only where the query parameter holds all of an INSERT up to its data`;
    throw new EngineException(48, "NOT_IMPLEMENTED", detail);
  }
  const decompressor = make();
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

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
