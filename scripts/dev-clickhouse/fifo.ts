import { constants, mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Named pipes through which request bodies reach the engine without touching the disk. */
export class FifoPool {
  readonly #directory = mkdtempSync(join(tmpdir(), "dev-clickhouse-"));
  readonly #free: string[] = [];
  #made = 0;

  /** Take one per insert and give it back when both ends are closed. */
  acquire(): string {
    const path = this.#free.pop();
    if (path !== undefined) return path;
    const made = join(this.#directory, `${++this.#made}`);
    const { exitCode, stderr } = Bun.spawnSync(["mkfifo", "-m", "600", made]);
    if (exitCode !== 0) throw new Error(`Cannot make the named pipe ${made}: ${stderr.toString().trim()}`);
    return made;
  }

  release(path: string): void {
    this.#free.push(path);
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The writing end of a named pipe whose reader may end before, or without, opening it. */
export class FifoWriter {
  readonly #path: string;
  readonly #opened: ReturnType<typeof open>;
  #readerEnded = false;

  /** @param readerDone settles when the reader has ended, well or badly; it must not reject */
  constructor(path: string, readerDone: Promise<unknown>) {
    this.#path = path;
    // Opening blocks its thread until the other end is opened too.
    this.#opened = open(path, "w");
    void readerDone.then(() => {
      this.#readerEnded = true;
      return this.#unblock();
    });
  }

  /** Resolves when the reader has opened its end. */
  async ready(): Promise<void> {
    await this.#opened;
  }

  /** Resolves when everything is in the pipe. False: the reader has gone. */
  async write(bytes: Uint8Array): Promise<boolean> {
    const file = await this.#opened;
    try {
      for (let offset = 0; offset < bytes.length; ) {
        if (this.#readerEnded) return false;
        offset += (await file.write(bytes, offset)).bytesWritten;
      }
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EPIPE") return false;
      throw error;
    }
  }

  /** Ends the data: the reader sees the end of the file. */
  async close(): Promise<void> {
    await (await this.#opened).close();
  }

  async #unblock(): Promise<void> {
    const reader = await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    await this.#opened.catch(() => undefined);
    await reader.close();
  }
}
