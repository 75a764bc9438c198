import { expect, test } from "bun:test";
import type { CliOutcome } from "../support/cli.ts";
import { Scenario } from "../support/cli-scenario.ts";
import { blocksOf } from "../support/documents.ts";
import { SYMPTOMS } from "../support/symptoms.ts";

const QUOTED = blocksOf("docs/troubleshooting.md").filter(({ language }) => language === "text");

test("every documented symptom is reproduced here, and every one reproduced is documented", () => {
  expect(QUOTED.map(({ heading }) => heading)).toEqual(Object.keys(SYMPTOMS));
});

test.concurrent.each(Object.entries(SYMPTOMS))("%s", async (heading, reproduce) => {
  await using scenario = await Scenario.open();
  const said = saidBy(await reproduce(scenario), scenario);
  const block = QUOTED.find((each) => each.heading === heading);
  let from = 0;
  for (const line of block?.text.split("\n") ?? []) {
    const at = said.findIndex((each, index) => index >= from && pattern(line).test(each));
    if (at === -1)
      throw new Error(`The program does not say ${JSON.stringify(line)}, but:\n${said.join("\n")}`);
    from = at + 1;
  }
});

/** The lines of stderr and stdout, without times, and with the document's names in place of the test's. */
function saidBy({ stderr, stdout }: CliOutcome, { proxy, fixture, target }: Scenario): string[] {
  return `${stderr}${stdout}`
    .replaceAll(proxy.url, "https://clickhouse.example.com:8443")
    .replaceAll(/https?:\/\/(127\.0\.0\.1|localhost):\d+/g, "https://clickhouse.example.com:8443")
    .replaceAll(new RegExp(`${fixture.database}|e2e_(missing|unusable)_\\w+`, "g"), "langfuse")
    .replaceAll(target, "events")
    .replaceAll(`user "${fixture.server.user}"`, 'user "default"')
    .replaceAll(/^\d{4}-\d\d-\d\dT[\d:.]+Z /gm, "")
    .split("\n");
}

/** A line as quoted; an ellipsis stands for any text. */
function pattern(line: string): RegExp {
  const parts = line.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
