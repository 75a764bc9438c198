import { describe, expect, test } from "bun:test";
import { COMMANDS } from "../../../src/commands/commands.ts";
import { EXIT_CODE_LINES } from "../../../src/commands/help.ts";
import { manualPage } from "../../../src/commands/man.ts";
import { OPTION_LIST } from "../../../src/config/options.ts";
import { runProgram } from "./program.ts";

const PAGE = manualPage("1.2.3");

/** The page as running text: no macros, no escapes, no line breaks. */
const TEXT = PAGE.replaceAll(/^\.(Ql|Ev|Fl|It|Cm) ?/gm, "")
  .replaceAll(/\\&/g, "")
  .replaceAll("\\-", "-")
  .replaceAll("\n", " ");

test("`man` prints the page", async () => {
  expect(await runProgram(["man"], { cwd: "/tmp" })).toEqual({
    code: 0,
    stdout: manualPage("0.0.0-dev"),
    stderr: "",
  });
});

test("the page names the version", () => {
  expect(PAGE).toContain("\n.Os clickhouse-backfill 1.2.3\n");
});

test.each(OPTION_LIST.map(([name, spec]) => [name, spec] as const))(
  "the page describes %s in full",
  (_, spec) => {
    if (spec.flag === null) expect(PAGE).toContain(`\n.It Ev ${spec.variable}`);
    else {
      const value = spec.placeholder === null ? "" : ` Ar ${spec.placeholder}`;
      expect(PAGE).toContain(`\n.It Fl -${spec.flag}${value}\n`);
      expect(PAGE).toContain(`\n.Ev ${spec.variable} .\n`);
    }
    expect(TEXT.toLowerCase()).toContain(`${spec.description.toLowerCase()}.`);
    expect(TEXT).toContain(spec.default || (spec.default === null ? "Required" : "empty"));
  },
);

test("the page lists the commands and the exit codes", () => {
  for (const { name } of COMMANDS) expect(PAGE).toMatch(new RegExp(`\\n\\.It Cm ${name}( Ar \\w+)?\\n`));
  for (const [code] of EXIT_CODE_LINES) expect(PAGE).toContain(`\n.It ${code}\n`);
});

test("no line of text is longer than 80 characters, nor a request by accident", () => {
  for (const line of PAGE.trimEnd().split("\n")) {
    expect(line).not.toMatch(/^$|^'|^\.(?![A-Z][a-z] ?)/);
    if (!line.startsWith(".")) expect(line.length).toBeLessThanOrEqual(80);
  }
});

const CHECKERS = [
  ["mandoc", "-Tlint", "-Wwarning"],
  ["groff", "-mdoc", "-Tutf8", "-ww", "-z"],
].filter(([name]) => name !== undefined && Bun.which(name) !== null);

describe.each(CHECKERS)("%s", (...command) => {
  test("reports no problem", async () => {
    const child = Bun.spawn(command.filter(Boolean), {
      stdin: new Blob([PAGE]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const complaints = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([...complaints, await child.exited]).toEqual(["", "", 0]);
  });
});
