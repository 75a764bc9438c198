import type { BlockChannel } from "./block-channel.ts";
import { TransportError } from "./server-errors.ts";

/**
 * An INSERT that stays open and takes one Native block after another. Any prefix of it is valid: it may be ended after any
 * block. Its rows count as stored when it is acknowledged, and not before.
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
    // Whoever gives a block must learn of a failure, and nobody may have to wait for it.
    this.acknowledged.catch((error: unknown) => channel.fail(error));
  }

  /** Rows that were given. */
  get rows(): number {
    return this.#rows;
  }

  /** Size of the blocks that were given. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Sends a block of `rows` rows, and resolves when its memory is needed no more. One block at a time. Rejects with what ended
   * the INSERT.
   */
  async write(parts: readonly Buffer[], rows: number): Promise<void> {
    // To the server it would be the end of the data, which it would acknowledge.
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
   * can hide missing ones; but then it responds before this end has said that there are no more blocks.
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
