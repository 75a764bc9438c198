const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of the path is a file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** Why a file that an option names cannot be read, as the end of a sentence. */
export function whyUnreadable(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}
