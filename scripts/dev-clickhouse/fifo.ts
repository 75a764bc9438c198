import { constants, mkdirSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";

/** A named pipe, taken from the pool for one query. Give it back when both ends are closed. */
export interface Fifo {
  readonly path: string;
  release(): void;
}

/** Named pipes, through which data goes to and from the engine without touching the disk. */
export class FifoPool {
  readonly #directory: string;
  readonly #free: Fifo[] = [];
  #made = 0;

  /** @param directory for the pipes alone: emptied here, in case a killed server has left some, and removed at the end */
  constructor(directory: string) {
    this.#directory = directory;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
  }

  acquire(): Fifo {
    return this.#free.pop() ?? this.#make();
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #make(): Fifo {
    const path = join(this.#directory, String(++this.#made));
    const { exitCode, stderr } = Bun.spawnSync(["mkfifo", "-m", "600", path]);
    if (exitCode !== 0) throw new Error(`Cannot make the named pipe ${path}: ${stderr.toString().trim()}`);
    const fifo: Fifo = { path, release: () => void this.#free.push(fifo) };
    return fifo;
  }
}

/** The writing end of a named pipe. */
export class FifoWriter {
  readonly #file: FileHandle;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Resolves when everything is in the pipe. False: the reader has gone. */
  async write(batch: readonly Uint8Array[]): Promise<boolean> {
    try {
      for (let rest = [...batch]; rest.length > 0; ) {
        const { bytesWritten } = await this.#file.writev(rest);
        rest = without(rest, bytesWritten);
      }
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EPIPE") return false;
      throw error;
    }
  }

  /** The reader sees the end of the file. */
  async close(): Promise<void> {
    await this.#file.close();
  }
}

/**
 * Opens the end that is written to, when the engine opens the other.
 * @param engineDone resolves or rejects when the engine's query has ended; it may end without ever opening its end
 */
export async function openWriter(path: string, engineDone: Promise<void>): Promise<FifoWriter> {
  return new FifoWriter(await openEnd(path, "w", engineDone));
}

/** Opens the end that is read from, as {@link openWriter} does. */
export async function openReader(path: string, engineDone: Promise<void>): Promise<FileHandle> {
  return await openEnd(path, "r", engineDone);
}

async function openEnd(path: string, mode: "r" | "w", engineDone: Promise<void>): Promise<FileHandle> {
  // Blocks a thread of the pool until somebody opens the other end.
  const opening = open(path, mode);
  const opened = opening.then(
    () => true,
    () => true,
  );
  const isOpen = await Promise.race([opened, engineDone.then(() => false)]);
  if (!isOpen) await (await openBothEnds(path, opened)).close();
  return await opening;
}

/** Takes the engine's place at the other end. */
async function openBothEnds(path: string, opened: Promise<boolean>): Promise<FileHandle> {
  const both = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
  await opened;
  return both;
}

function without(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count;
  const rest: Uint8Array[] = [];
  for (const part of parts) {
    if (skip >= part.length) skip -= part.length;
    else {
      rest.push(part.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}
