import { connectTo } from "../../scripts/testbed/server.ts";
import { type EngineFixture, makeFixture } from "./fixture.ts";
import { type Result, SCENARIOS } from "./scenarios.ts";
import { startEngine } from "./server.ts";
import type { EngineVersion } from "./versions.ts";

/** An engine with its month, ready for scenarios. */
export interface PreparedEngine extends AsyncDisposable {
  readonly fixture: EngineFixture;
  run(scenario: string): Promise<Result>;
}

/** Starts an engine and makes its month. @throws {EngineUnavailable} when it cannot be installed */
export async function prepareEngine(version: EngineVersion, seed: number): Promise<PreparedEngine> {
  const engine = await startEngine(version);
  try {
    const server = connectTo(engine.url);
    const actual = (await server.query("SELECT version()")).trim();
    if (!actual.startsWith(`${version.name}.`))
      throw new Error(`Engine ${version.name} says it is ${actual}`);
    const fixture = await makeFixture(server, seed);
    return {
      fixture,
      run: async (name) => {
        const scenario = SCENARIOS[name];
        if (scenario === undefined) throw new Error(`There is no scenario ${JSON.stringify(name)}`);
        return await scenario(fixture);
      },
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}
