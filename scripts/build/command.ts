import { basename } from "node:path";

/** What a command that ended well printed on stdout. Throws with all that it printed when it failed. */
export async function outputOf(
  command: readonly string[],
  { cwd, env = process.env }: { cwd: string; env?: Record<string, string | undefined> },
): Promise<string> {
  const child = Bun.spawn([...command], { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return output;
  const ending = child.signalCode === null ? `exit code ${code}` : child.signalCode;
  throw new Error(
    `${basename(command[0] ?? "")} ${command[1] ?? ""} failed with ${ending}:\n${output}${errors}`.trimEnd(),
  );
}
