import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import { type Answer, ClientGone, EMPTY_SUMMARY, type Summary } from "./answer.ts";
import type { RequestText } from "./body.ts";
import type { BlockStream, Connection, Engine } from "./engine.ts";
import { EngineException } from "./exception.ts";
import { type FifoPool, FifoWriter } from "./fifo.ts";
import type { RequestParameters } from "./parameters.ts";
import { insertFromFile, type Statement } from "./statement.ts";

/** One request's query on a connection of its own, from its settings to the last byte of its answer. */
export class Query {
  readonly #engine: Engine;
  readonly #fifos: FifoPool;
  readonly #connection: Connection;
  readonly #answer: Answer;
  readonly #parameters: RequestParameters;
  readonly #marker = randomUUID();
  #ended = false;

  constructor(engine: Engine, fifos: FifoPool, parameters: RequestParameters, answer: Answer) {
    this.#engine = engine;
    this.#fifos = fifos;
    this.#parameters = parameters;
    this.#answer = answer;
    this.#connection = engine.connect();
  }

  /** @throws {EngineException} the query's own, {@link ClientGone} when nobody waits for the answer any more */
  async run(text: RequestText, readOnly: boolean): Promise<void> {
    const cancel = () => void this.cancel();
    this.#answer.gone.addEventListener("abort", cancel, { once: true });
    try {
      await this.#applySettings(readOnly);
      this.#answer.gone.throwIfAborted();
      await this.#dispatch(text);
    } finally {
      this.#ended = true;
      this.#answer.gone.removeEventListener("abort", cancel);
      this.#connection.close();
    }
  }

  /** Resolves when the engine has taken note of the cancellation, or the query has ended by itself. */
  async cancel(): Promise<void> {
    // A query that has just been handed over is not in the process list yet.
    while (!this.#ended && !(await this.#engine.kill(this.#marker))) await sleep(5);
  }

  async #applySettings(readOnly: boolean): Promise<void> {
    const { database, settings, queryParameters } = this.#parameters;
    if (database !== undefined) await this.#connection.query(`USE ${identifier(database)}`, "Null");
    const assignments: string[] = [];
    for (const [name, value] of settings) {
      if (!/^\w+$/.test(name)) throw new EngineException(115, "UNKNOWN_SETTING", `Unknown setting '${name}'`);
      assignments.push(`${name} = ${literal(value)}`);
    }
    for (const [name, value] of queryParameters) {
      // Another name could not be written in a statement either.
      if (/^\w+$/.test(name)) assignments.push(`param_${name} = ${literal(value)}`);
    }
    await this.#connection.mark(this.#marker, assignments);
    // As the server does for GET, so that a followed link changes nothing.
    if (readOnly && !settings.has("readonly")) await this.#connection.query("SET readonly = 2", "Null");
  }

  async #dispatch(text: RequestText): Promise<void> {
    const { statement } = text;
    switch (statement.kind) {
      case "insert":
        return await this.#insert(text, statement);
      case "write":
        return await this.#write(text.sql.toString());
      case "select":
        return await this.#select(text.sql, statement);
      case "command":
        return await this.#command(text.sql.toString(), statement.format);
      case "incomplete":
        throw new EngineException(62, "SYNTAX_ERROR", "Empty query");
    }
  }

  async #command(sql: string, format: string | undefined): Promise<void> {
    const outputFormat = format ?? this.#parameters.defaultFormat;
    const bytes = await this.#connection.query(sql, outputFormat);
    this.#answer.begin(outputFormat, { ...EMPTY_SUMMARY, resultBytes: bytes.length });
    await this.#answer.write(bytes);
    await this.#answer.end();
  }

  async #write(sql: string): Promise<void> {
    await this.#answerWritten(await this.#connection.write(sql));
  }

  async #insert(text: RequestText, statement: Extract<Statement, { kind: "insert" }>): Promise<void> {
    const path = this.#fifos.acquire();
    const written = this.#connection.write(insertFromFile(text.sql, statement, path, text.compression));
    const settled = written.then(ignore, ignore);
    const writer = new FifoWriter(path, settled);
    try {
      await this.#feed(writer, text.data, settled);
    } catch (error) {
      // The end of the pipe must not pass for the end of the data: closed only once the engine knows better.
      await writer.ready();
      await this.cancelUnless(settled);
      await writer.close();
      await settled;
      this.#fifos.release(path);
      throw this.#answer.gone.aborted ? new ClientGone("The client cut the request") : error;
    }
    await writer.close();
    await settled;
    this.#fifos.release(path);
    await this.#answerWritten(await written);
  }

  async #feed(writer: FifoWriter, data: AsyncIterable<Uint8Array>, settled: Promise<void>): Promise<void> {
    let isTaken = true;
    void settled;
    for await (const bytes of data) {
      // After an early failure the rest is read and dropped: clients send all before they read the answer.
      if (isTaken) isTaken = await writer.write(bytes);
    }
    this.#answer.gone.throwIfAborted();
  }

  async cancelUnless(settled: Promise<void>): Promise<void> {
    await Promise.race([settled, this.cancel()]);
  }

  async #answerWritten(result: {
    readonly rowsWritten: number;
    readonly bytesWritten: number;
  }): Promise<void> {
    const { rowsWritten, bytesWritten } = result;
    this.#answer.begin(undefined, {
      ...EMPTY_SUMMARY,
      // The server, too, counts the rows that come in with an insert as read.
      readRows: rowsWritten,
      readBytes: bytesWritten,
      writtenRows: rowsWritten,
      writtenBytes: bytesWritten,
      resultRows: rowsWritten,
      resultBytes: bytesWritten,
    });
    await this.#answer.end();
  }

  async #select(sql: Buffer, statement: Extract<Statement, { kind: "select" }>): Promise<void> {
    if (statement.hasOutfile) {
      throw new EngineException(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed");
    }
    const format = statement.format ?? this.#parameters.defaultFormat;
    const isStreamable = BLOCKWISE_FORMATS.has(format.toUpperCase()) && !statement.hasTotals;
    if (!isStreamable) return await this.#send(format, this.#wholeDocument(sql, statement, format));
    const stream = this.#connection.stream(sql.toString(), format);
    try {
      await this.#send(format, blocks(stream));
    } finally {
      await stream.close();
    }
  }

  /** Formats with a beginning, an end, or numbered rows: streamed blocks would each be a document of their own. */
  async *#wholeDocument(
    sql: Buffer,
    { outfileAt }: Extract<Statement, { kind: "select" }>,
    format: string,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const path = this.#fifos.acquire();
    const head = sql.toString("utf8", 0, outfileAt);
    const rest = sql.toString("utf8", outfileAt);
    const clause = ` INTO OUTFILE ${literal(path)} APPEND COMPRESSION 'none' `;
    const answered = this.#connection.query(
      `${head}${clause}${rest === "" || /^\s*;/.test(rest) ? `FORMAT ${format}` : rest}`,
      format,
    );
    const settled = answered.then(ignore, ignore);
    // A query that fails early never opens its end; this end would wait for it.
    void settled.then(async () => await (await open(path, constants.O_RDWR | constants.O_NONBLOCK)).close());
    const reader = await open(path, "r");
    try {
      const buffer = Buffer.allocUnsafe(PIPE_READ_BYTES);
      for (;;) {
        const { bytesRead } = await reader.read(buffer, 0, buffer.length);
        if (bytesRead === 0) break;
        yield Uint8Array.prototype.slice.call(buffer, 0, bytesRead);
      }
    } finally {
      await reader.close();
      await settled;
      this.#fifos.release(path);
    }
    await answered;
  }

  /** Sends the headers with the first bytes: until then a failure is a plain error. */
  async #send(format: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    const holdBytes = this.#parameters.waitEndOfQuery ? MAX_HELD_BYTES : 1;
    const held: Uint8Array[] = [];
    let heldBytes = 0;
    let hasBegun = false;
    const begin = async () => {
      this.#answer.begin(format, await this.#readSummary());
      hasBegun = true;
      for (const bytes of held.splice(0)) await this.#answer.write(bytes);
    };
    for await (const bytes of source) {
      if (hasBegun) {
        await this.#answer.write(bytes);
        continue;
      }
      held.push(bytes);
      heldBytes += bytes.length;
      if (heldBytes >= holdBytes) await begin();
    }
    if (!hasBegun) await begin();
    await this.#answer.end();
  }

  async #readSummary(): Promise<Summary> {
    const progress = await this.#engine.progress(this.#marker);
    return { ...EMPTY_SUMMARY, ...progress };
  }
}

/** wait_end_of_query holds back this much; a longer answer is sent as it comes. */
const MAX_HELD_BYTES = 32 * 1_048_576;
const PIPE_READ_BYTES = 262_144;

/** Formats whose blocks, one after the other, are the whole answer. */
const BLOCKWISE_FORMATS = new Set([
  "NATIVE",
  "ROWBINARY",
  "TABSEPARATED",
  "TSV",
  "TABSEPARATEDRAW",
  "TSVRAW",
  "RAW",
  "CSV",
  "TSKV",
  "JSONEACHROW",
  "JSONLINES",
  "NDJSON",
  "JSONSTRINGSEACHROW",
  "JSONCOMPACTEACHROW",
  "JSONCOMPACTSTRINGSEACHROW",
  "LINEASSTRING",
  "MSGPACK",
  "NULL",
]);

async function* blocks(stream: BlockStream): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const { bytes, done } = await stream.fetch();
    if (done) return;
    if (bytes.length > 0) yield bytes;
  }
}

function ignore(): void {}
