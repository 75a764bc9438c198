import type { BlockChannel } from "./block-channel.ts";
import { TransportError } from "./server-errors.ts";

/**
 * An INSERT that stays open and takes one Native block after another. Any prefix of it is valid: it can end after any
 * block. Its rows count as stored once it is acknowledged.
 */
export class OpenInsert {
  readonly #channel: BlockChannel;
  #hasEnded = false;
  #rows = 0;
  #bytes = 0;
  /** Resolves when the server has acknowledged all rows. Rejects with the error that ended the INSERT; await or catch it. */
  readonly acknowledged: Promise<void>;

  /** `response` resolves to the rows that the server says it wrote. */
  constructor(channel: BlockChannel, response: Promise<number>) {
    this.#channel = channel;
    this.acknowledged = response.then((written) => this.#check(written));
    // A write fails when the INSERT does, without waiting for the server to take the block.
    this.acknowledged.catch((error: unknown) => channel.fail(error));
  }

  /** Rows that were written. */
  get rows(): number {
    return this.#rows;
  }

  /** Bytes that were written. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Sends a block of `rows` rows, and resolves once its memory can be reused. One block at a time. Rejects with what ended
   * the INSERT.
   */
  async write(parts: readonly Buffer[], rows: number): Promise<void> {
    // The server would take it for the end of the data.
    if (rows === 0) throw new Error("A block without rows must not be sent");
    this.#rows += rows;
    this.#bytes += parts.reduce((sum, part) => sum + part.length, 0);
    await this.#channel.give(parts);
  }

  /** Ends the INSERT after the blocks that were sent. */
  end(): void {
    this.#hasEnded = true;
    this.#channel.end();
  }

  /**
   * A server that sees the data end early acknowledges what it has. Rows that materialized views write count in its response too and
   * can hide missing ones; but then it responds before this side has ended the INSERT.
   */
  #check(written: number): void {
    if (!this.#hasEnded) {
      throw new TransportError(
        `The server acknowledged an INSERT before its end, after at most ${this.#rows} rows`,
      );
    }
    if (written < this.#rows) throw new TransportError(`The server stored ${written} of ${this.#rows} rows`);
  }
}
