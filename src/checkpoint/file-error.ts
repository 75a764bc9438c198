const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "Free some space on that filesystem",
  EDQUOT: "Free some of the disk quota",
  EFBIG: "Raise the limit of the size of files (ulimit -f)",
  EACCES: "Check the permissions of the directory and its files",
  EPERM: "Check the permissions of the directory and its files",
  EROFS: "The filesystem is read-only: choose another --cursor-state-dir",
  ENOENT: "The directory is gone: check --cursor-state-dir",
  ENOTDIR: "A part of the path is a file: check --cursor-state-dir",
  EISDIR: "A directory has the name of the file: remove it or choose another --cursor-state-dir",
  EEXIST: "A file has the name of the directory: check --cursor-state-dir",
};

/** A failed file operation in words: what failed, the system's error, and on a second line what to do. */
export function describeFileError(whatFailed: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const advice = (code === undefined ? undefined : ADVICE[code]) ?? "Check --cursor-state-dir";
  return `${whatFailed}: ${message}\n${advice}, then run the same command again; finished pages are not copied twice.`;
}
