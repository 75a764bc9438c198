import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

/** Only the owner may read what names projects and ids. */
const FILE_MODE = 0o600;

/** Filesystems that cannot sync a directory say so with one of these. */
const NO_DIRECTORY_SYNC = new Set<unknown>(["EINVAL", "ENOTSUP", "EOPNOTSUPP"]);

let written = 0;

/**
 * Replaces the file so that after a crash at any moment either the old or the new content is there, whole: temporary
 * file in the same directory, fsync, rename, fsync of the directory.
 * @throws the system's error; the old file is then untouched.
 */
export function replaceDurably(path: string, content: string): void {
  const temporary = temporaryName(path);
  try {
    writeNewFile(temporary, content);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/** A name beside `path` that no other process and no other call uses. */
export function temporaryName(path: string): string {
  written += 1;
  return `${path}.${process.pid}.${Date.now().toString(36)}.${written}.tmp`;
}

/** The temporary files beside `path` that {@link temporaryName} named, of this or any other process. */
export function temporariesOf(path: string): string[] {
  const directory = dirname(path);
  const prefix = `${basename(path)}.`;
  return readdirSync(directory)
    .filter((entry) => entry.startsWith(prefix) && entry.endsWith(".tmp"))
    .map((entry) => join(directory, entry));
}

/** Creates a file, which must not exist, and makes its content durable; where that fails no file is left behind. */
export function writeNewFile(path: string, content: string): void {
  const descriptor = openSync(path, "wx", FILE_MODE);
  try {
    const bytes = Buffer.from(content);
    for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    fsyncSync(descriptor);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Deletes what is there; a file that is gone already is fine. */
export function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Makes the creation or the renaming of a file durable. */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!NO_DIRECTORY_SYNC.has((error as NodeJS.ErrnoException).code)) throw error;
  } finally {
    closeSync(descriptor);
  }
}
