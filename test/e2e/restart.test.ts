import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { eventsFullTable } from "../../scripts/testbed/schema.ts";
import { identifier } from "../../src/clickhouse/sql.ts";
import { type CliOutcome, readStderr, runCli } from "../support/cli.ts";
import { ONE_BY_ONE, Scenario } from "../support/cli-scenario.ts";

/** A scenario whose target keeps its events, as those of installations do. */
class Keeping implements AsyncDisposable {
  readonly scenario: Scenario;
  readonly #target: string;

  private constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.#target = `${scenario.target}_kept`;
  }

  static async open(): Promise<Keeping> {
    const keeping = new Keeping(await Scenario.open());
    await keeping.command(eventsFullTable(keeping.#target));
    return keeping;
  }

  async run(...flags: readonly string[]): Promise<CliOutcome> {
    const usual = this.scenario.flags.filter((flag) => !flag.startsWith("--target-table="));
    return await runCli([...usual, `--target-table=${this.#target}`, ...ONE_BY_ONE, ...flags], {
      cwd: this.scenario.directory,
    });
  }

  async rows(): Promise<number> {
    const { server, database } = this.scenario.fixture;
    const sql = `SELECT count() FROM ${identifier(this.#target)} FINAL`;
    return Number(await server.query(sql, { database }));
  }

  async dropMonth(): Promise<void> {
    await this.command(
      `ALTER TABLE ${identifier(this.#target)} DROP PARTITION ID '${this.scenario.fixture.partition}'`,
    );
  }

  async command(sql: string): Promise<void> {
    await this.scenario.fixture.server.command(sql, { database: this.scenario.fixture.database });
  }

  get setAside(): string[] {
    const name = `${basename(this.scenario.checkpointPath)}.set-aside-`;
    return readdirSync(this.scenario.directory).filter((file) => file.startsWith(name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scenario[Symbol.asyncDispose]();
  }
}

describe("a month that is finished", () => {
  test("stays so while its events are in the target", async () => {
    await using keeping = await Keeping.open();
    expect(await keeping.run()).toMatchObject({ code: 0 });
    const again = await keeping.run();
    expect(again).toMatchObject({ code: 0 });
    expect(again.stdout).toContain(
      "was finished by an earlier run; nothing was inserted.\n--restart copies it again.",
    );
    expect(keeping.setAside).toEqual([]);
  });

  test("is not called finished when the target has lost events; --restart copies it again", async () => {
    await using keeping = await Keeping.open();
    expect(await keeping.run()).toMatchObject({ code: 0 });
    const rows = await keeping.rows();
    const before = readFileSync(keeping.scenario.checkpointPath, "utf8");
    await keeping.dropMonth();

    const refused = await keeping.run();
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    expect(readStderr(refused).failure[0]).toEndWith(`_kept now has 0 of the ${rows} rows that it had then`);
    expect(readStderr(refused).failure[1]).toContain("--restart sets the checkpoint aside");
    expect(readFileSync(keeping.scenario.checkpointPath, "utf8")).toBe(before);

    const restarted = await keeping.run("--restart");
    expect(restarted).toMatchObject({ code: 0 });
    expect(await keeping.rows()).toBe(rows);
    const [aside = "", ...others] = keeping.setAside;
    expect(others).toEqual([]);
    expect(readFileSync(`${keeping.scenario.directory}/${aside}`, "utf8")).toBe(before);
    expect(restarted.stderr).toContain(`is set aside as `);
  });

  test("of an earlier version, which records no rows of the target, is refused where it has none", async () => {
    await using keeping = await Keeping.open();
    expect(await keeping.run()).toMatchObject({ code: 0 });
    const path = keeping.scenario.checkpointPath;
    const { target_rows, ...older } = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    expect(target_rows).toBe(await keeping.rows());
    writeFileSync(path, JSON.stringify(older));
    expect(await keeping.run()).toMatchObject({ code: 0 });
    await keeping.dropMonth();
    expect(await keeping.run()).toMatchObject({ code: 3 });
  });
});

describe("--restart", () => {
  test("sets a checkpoint aside that no run would take", async () => {
    await using keeping = await Keeping.open();
    writeFileSync(keeping.scenario.checkpointPath, "not JSON");
    expect(await keeping.run()).toMatchObject({ code: 3 });
    expect(await keeping.run("--restart")).toMatchObject({ code: 0 });
    expect(keeping.setAside).toHaveLength(1);
    expect(keeping.scenario.checkpoint()?.finished).toBe(true);
  });

  test("just runs where there is no checkpoint", async () => {
    await using keeping = await Keeping.open();
    expect(await keeping.run("--restart")).toMatchObject({ code: 0 });
    expect(keeping.setAside).toEqual([]);
  });

  test("renames nothing in a dry run, which still starts from the beginning", async () => {
    await using keeping = await Keeping.open();
    expect(await keeping.run()).toMatchObject({ code: 0 });
    const dry = await keeping.run("--restart", "--dry-run");
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.stdout).toContain("inserts are not part of them");
    expect(dry.stdout).toMatch(/Observations read +[1-9]/);
    expect(keeping.setAside).toEqual([]);
  });
});
