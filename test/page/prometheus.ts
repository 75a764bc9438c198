import { expect, test } from "bun:test";
import { join } from "node:path";
import { ONE_BY_ONE, Scenario } from "../support/cli-scenario.ts";
import { freePort } from "../support/watched.ts";

const ROOT = join(import.meta.dir, "../..");

/** Runs Prometheus' own tool. Throws where it is not there, and says what to install. */
async function promtool(args: readonly string[], input = ""): Promise<{ code: number; output: string }> {
  if (Bun.which("promtool") === null) {
    throw new Error("promtool is missing. Debian and Ubuntu: the package prometheus has it");
  }
  const child = Bun.spawn(["promtool", ...args], {
    cwd: ROOT,
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code: await child.exited, output: stdout + stderr };
}

test("promtool finds nothing wrong with the metrics of a run", async () => {
  await using scenario = await Scenario.open();
  const port = await freePort();
  const held = scenario.proxy.on({ on: "page", nth: 2 }, { kind: "hold", at: "request" });
  const running = await scenario.startUntil(held, [...ONE_BY_ONE, `--status-address=127.0.0.1:${port}`]);
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  expect(await promtool(["check", "metrics"], metrics)).toEqual({ code: 0, output: "" });
  expect(
    (await promtool(["check", "metrics"], metrics.replace("rows_read_total", "rowsRead"))).code,
  ).not.toBe(0);
  held.release();
  expect((await running.outcome).code).toBe(0);
});

test("promtool takes the alerts, and they come when they should", async () => {
  expect(await promtool(["check", "rules", "deploy/prometheus-alerts.yml"])).toMatchObject({ code: 0 });
  expect(await promtool(["test", "rules", "test/page/alerts.test.yml"])).toMatchObject({ code: 0 });
});
