import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { identifier, literal } from "../../src/clickhouse/sql.ts";
import type { RequestText } from "./body.ts";
import type { Connection, Engine, WriteResult } from "./engine.ts";
import { EngineException } from "./exception.ts";
import type { FifoPool } from "./fifo.ts";
import { insertData } from "./insert.ts";
import type { RequestParameters } from "./parameters.ts";
import { EMPTY_SUMMARY, type QueryResponse } from "./response.ts";
import { selectPieces } from "./select.ts";
import type { Statement } from "./statement.ts";
import { settingStatements, type Users } from "./users.ts";

/** One request's query on a connection of its own, from its settings to the last byte of its response. */
export class Query {
  readonly #engine: Engine;
  readonly #fifos: FifoPool;
  readonly #connection: Connection;
  readonly #response: QueryResponse;
  readonly #parameters: RequestParameters;
  readonly #users: Users;
  readonly #marker = randomUUID();
  #ended = false;

  constructor(
    engine: Engine,
    connection: Connection,
    fifos: FifoPool,
    parameters: RequestParameters,
    users: Users,
    response: QueryResponse,
  ) {
    this.#engine = engine;
    this.#connection = connection;
    this.#fifos = fifos;
    this.#parameters = parameters;
    this.#users = users;
    this.#response = response;
  }

  /** @throws {EngineException} the query's own, {@link ClientGone} when nobody waits for the response any more */
  async run(text: RequestText, readOnly: boolean): Promise<void> {
    const cancel = () => void this.cancel();
    this.#response.gone.addEventListener("abort", cancel, { once: true });
    try {
      await this.#applySettings(readOnly);
      this.#response.gone.throwIfAborted();
      await this.#dispatch(text);
    } finally {
      this.#ended = true;
      this.#response.gone.removeEventListener("abort", cancel);
    }
  }

  /** Resolves when the engine has taken note of the cancellation, or the query has ended by itself. */
  async cancel(): Promise<void> {
    // A query that has just been handed over is not in the process list yet.
    while (!this.#ended && !(await this.#engine.kill(this.#marker))) await sleep(5);
  }

  async #applySettings(readOnly: boolean): Promise<void> {
    const { database, settings, queryParameters, user } = this.#parameters;
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
    for (const statement of settingStatements(this.#users, user, {
      first: this.#connection.marking(this.#marker),
      own: assignments,
    })) {
      await this.#connection.query(statement, "Null");
    }
    // As the server does for GET, so that a followed link changes nothing.
    const isReadOnly = settings.has("readonly") || "readonly" in (this.#users.get(user)?.settings ?? {});
    if (readOnly && !isReadOnly) await this.#connection.query("SET readonly = 2", "Null");
  }

  async #dispatch(text: RequestText): Promise<void> {
    const { statement } = text;
    switch (statement.kind) {
      case "insert":
        return await this.#responseWritten(
          await insertData(this.#connection, this.#fifos, text, statement, () => this.cancel()),
        );
      case "write":
        return await this.#responseWritten(await this.#connection.write(text.sql.toString()));
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
    this.#response.begin(outputFormat, { ...EMPTY_SUMMARY, resultBytes: bytes.length });
    await this.#response.write(bytes);
    await this.#response.end();
  }

  async #responseWritten({ rowsWritten, bytesWritten }: WriteResult): Promise<void> {
    this.#response.begin(undefined, {
      ...EMPTY_SUMMARY,
      // The server, too, counts the rows that come in with an insert as read.
      readRows: rowsWritten,
      readBytes: bytesWritten,
      writtenRows: rowsWritten,
      writtenBytes: bytesWritten,
      resultRows: rowsWritten,
      resultBytes: bytesWritten,
    });
    await this.#response.end();
  }

  async #select(sql: Buffer, statement: Extract<Statement, { kind: "select" }>): Promise<void> {
    if (statement.hasOutfile) {
      throw new EngineException(358, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed");
    }
    const format = statement.format ?? this.#parameters.defaultFormat;
    await this.#send(format, selectPieces(this.#connection, this.#fifos, sql, statement, format));
  }

  /** Sends the headers with the first bytes: until then a failure is a plain error. */
  async #send(format: string, source: AsyncIterable<Uint8Array>): Promise<void> {
    const holdBytes = this.#parameters.waitEndOfQuery ? MAX_HELD_BYTES : HELD_BYTES;
    const held: Uint8Array[] = [];
    let heldBytes = 0;
    let hasBegun = false;
    const begin = async () => {
      // Reading the engine's progress would cost more than most queries do, and nothing here needs it.
      this.#response.begin(format, EMPTY_SUMMARY);
      hasBegun = true;
      for (const bytes of held.splice(0)) await this.#response.write(bytes);
    };
    for await (const bytes of source) {
      if (hasBegun) {
        await this.#response.write(bytes);
        continue;
      }
      held.push(bytes);
      heldBytes += bytes.length;
      if (heldBytes >= holdBytes) await begin();
    }
    if (!hasBegun) await begin();
    await this.#response.end();
  }
}

/** The server's response buffer: a query that fails within the first MiB of its response fails with a clean status. */
const HELD_BYTES = 1_048_576;
/** wait_end_of_query holds back this much; a longer response is sent as it comes. */
const MAX_HELD_BYTES = 32 * 1_048_576;
