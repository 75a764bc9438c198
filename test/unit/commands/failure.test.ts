import { expect, test } from "bun:test";
import { renderFailure } from "../../../src/commands/failure.ts";
import { versionLine } from "../../../src/commands/version.ts";
import { CheckpointError, InterruptedError, RunError, UsageError } from "../../../src/errors.ts";

const REPORT_IT =
  "Please report it with the output of the same command with LOG_LEVEL=debug. What is finished is in the checkpoint; the same command continues.";

test.each<[string, unknown, string]>([
  [
    "a failed run: message and hints as they are",
    new RunError("No server at x\nCheck y"),
    "No server at x\nCheck y\n",
  ],
  ["a checkpoint that forbids", new CheckpointError("Another run\nWait"), "Another run\nWait\n"],
  ["wrong usage: one line, whatever it quotes", new UsageError("--a\nb"), "--a b\n"],
  [
    "an interruption",
    new InterruptedError("SIGTERM"),
    "Terminated (SIGTERM). Run the same command again to continue.\n",
  ],
  [
    "a bug: what it is, and what to do",
    new TypeError("x is\nundefined"),
    `This is a bug in ${versionLine()}: TypeError: x is undefined\n${REPORT_IT}\n`,
  ],
  ["no error at all", "text", `This is a bug in ${versionLine()}: text\n${REPORT_IT}\n`],
])("%s", (_, error, text) => {
  expect(renderFailure(error, { showStacks: false, logFormat: "text" })).toBe(text);
});

test("stacks are shown on request, causes included", () => {
  const error = new RunError("outer", { cause: new Error("inner") });
  const lines = renderFailure(error, { showStacks: true, logFormat: "text" }).split("\n");
  expect(lines[0]).toBe("outer");
  expect(lines.filter((line) => /^(RunError: outer|Error: inner)$/.test(line))).toHaveLength(2);
  expect(lines.some((line) => line.includes("failure.test.ts"))).toBe(true);
});

test("in the format json it is an object with the exit code", () => {
  const text = renderFailure(new UsageError("--a"), { showStacks: false, logFormat: "json" });
  expect(JSON.parse(text)).toMatchObject({ level: "error", event: "failed", message: "--a", exit_code: 2 });
  expect(text).toEndWith("}\n");
});
