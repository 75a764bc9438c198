import { identifier, literal } from "../../src/clickhouse/sql.ts";
import type { Connection, Engine } from "./engine.ts";

/** A connection for one query. */
export interface Lease {
  readonly connection: Connection;
  /** Undoes what the query's own parameters set, as far as the connection outlives the query. */
  release(): Promise<void>;
}

interface Session {
  readonly connection: Connection;
  /** Resolves when the last query in the queue has released the connection. */
  free: Promise<void>;
  users: number;
  usedAtMs: number;
}

/** Connections that requests with the same `session_id` share, with their temporary tables and SET statements. */
export class Sessions {
  readonly #engine: Engine;
  readonly #sessions = new Map<string, Session>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * Queries of one session run one after the other. (A server refuses the second with code 373; here a client may see the
   * end of an answer shortly before the connection is free again.)
   * @param settings names of the settings that the query will change for itself
   */
  async lease(id: string | undefined, settings: readonly string[]): Promise<Lease> {
    if (id === undefined) {
      const connection = this.#engine.connect();
      return { connection, release: async () => connection.close() };
    }
    this.#expire();
    const session = this.#sessions.get(id) ?? this.#open(id);
    const turn = session.free;
    const { promise, resolve } = Promise.withResolvers<void>();
    session.free = promise;
    session.users++;
    const leave = () => {
      session.users--;
      session.usedAtMs = Date.now();
      resolve();
    };
    try {
      await turn;
      const restore = await restorer(session.connection, settings);
      return { connection: session.connection, release: () => restore().finally(leave) };
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Only when no query runs. */
  close(): void {
    for (const { connection } of this.#sessions.values()) connection.close();
    this.#sessions.clear();
  }

  #open(id: string): Session {
    const connection = this.#engine.connect();
    const session = { connection, free: Promise.resolve(), users: 0, usedAtMs: 0 };
    this.#sessions.set(id, session);
    return session;
  }

  #expire(): void {
    for (const [id, session] of this.#sessions) {
      if (session.users > 0 || Date.now() - session.usedAtMs < IDLE_TIMEOUT_MS) continue;
      session.connection.close();
      this.#sessions.delete(id);
    }
  }
}

/** The server's default_session_timeout. */
const IDLE_TIMEOUT_MS = 60_000;

async function restorer(connection: Connection, settings: readonly string[]): Promise<() => Promise<void>> {
  const names = ["readonly", ...settings].map(literal).join(", ");
  const answer = await connection.query(
    `SELECT currentDatabase() AS database, groupArray((name, value, changed)) AS settings FROM system.settings WHERE name IN (${names})`,
    "JSONEachRow",
  );
  const before = JSON.parse(answer.toString()) as {
    database: string;
    settings: Array<{ 1: string; 2: string; 3: number } | [string, string, number]>;
  };
  return async () => {
    await connection.query(`USE ${identifier(before.database)}`, "Null");
    const assignments = before.settings.map((setting) => {
      const [name, value, isChanged] = Object.values(setting) as [string, string, number];
      return `${name} = ${isChanged === 1 ? literal(value) : "DEFAULT"}`;
    });
    await connection.query(`SET ${assignments.join(", ")}`, "Null");
  };
}
