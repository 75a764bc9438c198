import {
  CheckpointError,
  DifferencesError,
  EXIT_CODES,
  exitCodeOf,
  InterruptedError,
  RunError,
  UsageError,
} from "../errors.ts";
import { jsonEntry } from "../report/json-entry.ts";
import type { Host } from "./host.ts";
import { versionLine } from "./version.ts";

/** How failures are to be reported. */
export type FailureForm = Pick<Host, "showStacks" | "logFormat">;

/** What stderr says of the error that ended the program, newline included; stacks only at debug level. */
export function renderFailure(error: unknown, { showStacks, logFormat }: FailureForm): string {
  const text = failureText(error, showStacks);
  if (logFormat === "text") return text;
  const fields = { event: "failed", exit_code: exitCodeOf(error) };
  return `${jsonEntry(new Date(), "error", text.trimEnd(), fields)}\n`;
}

function failureText(error: unknown, withStack: boolean): string {
  const lines = [messageOf(error, withStack)];
  if (exitCodeOf(error) === EXIT_CODES.usage) lines[0] = lines[0]?.replaceAll("\n", " ") ?? "";
  if (withStack && error instanceof Error) lines.push(...stacksOf(error));
  return `${lines.join("\n")}\n`;
}

function messageOf(error: unknown, withStack: boolean): string {
  if (error instanceof InterruptedError) {
    return `${error.message} (${error.signal}). Run the same command again to continue.`;
  }
  const isSaid = [UsageError, CheckpointError, RunError, DifferencesError].some(
    (kind) => error instanceof kind,
  );
  if (isSaid && error instanceof Error) return error.message;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const where = withStack ? "the stack below" : "the output of the same command with LOG_LEVEL=debug";
  return [
    `This is a bug in ${versionLine()}: ${text.replaceAll("\n", " ")}`,
    `Please report it with ${where}. What is finished is in the checkpoint; the same command continues.`,
  ].join("\n");
}

function stacksOf(error: Error): string[] {
  const stacks: string[] = [];
  for (let at: unknown = error; at instanceof Error && stacks.length < 5; at = at.cause) {
    stacks.push(at.stack ?? String(at));
  }
  return stacks;
}
