import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { TestServer } from "../../scripts/testbed/server.ts";
import { planStory } from "./plan.ts";
import { playStory } from "./story.ts";
import { Tally } from "./tally.ts";
import { openWorld, worldOf } from "./world.ts";

/** Which stories are played, and where their evidence is kept. */
export interface ChaosOptions {
  readonly server: TestServer;
  /** Of the first story; the others follow. */
  readonly seed: number;
  readonly stories: number;
  /** Stories at a time. */
  readonly jobs: number;
  /** Holds a directory for each story; those of stories that went well are removed. */
  readonly directory: string;
  readonly onStory?: (done: number) => void;
}

/** A story that did not end as expected. */
export interface FailedStory {
  readonly seed: number;
  readonly error: unknown;
  /** Output of all starts, state directory, plan and journal of faults. */
  readonly evidence: string;
}

export interface ChaosResult {
  readonly tally: Tally;
  readonly failures: readonly FailedStory[];
}

/** Plays stories of consecutive seeds, those that share their data together. */
export async function playStories(options: ChaosOptions): Promise<ChaosResult> {
  const { server, seed: first, stories, jobs, directory, onStory } = options;
  const tally = new Tally();
  const failures: FailedStory[] = [];
  let done = 0;
  const seeds = Array.from({ length: stories }, (_, i) => first + i);
  for (const [worldSeed, members] of Map.groupBy(seeds, worldOf)) {
    const world = await openWorld(server, worldSeed);
    const queue = members.values();
    const work = async (): Promise<void> => {
      for (const seed of queue) {
        const evidence = join(directory, `story-${seed}`);
        mkdirSync(evidence, { recursive: true });
        try {
          await playStory(world, planStory(seed), evidence, tally);
          rmSync(evidence, { recursive: true });
        } catch (error) {
          failures.push({ seed, error, evidence });
        }
        onStory?.(++done);
      }
    };
    await Promise.all(Array.from({ length: jobs }, work));
    await world.drop();
  }
  return { tally, failures };
}

/** How to see a failure again, and what it is. */
export function describeFailure({ seed, error, evidence }: FailedStory): string {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `Story ${seed}: ${what}\n  evidence: ${evidence}\n  again:    bun run test:chaos --only ${seed}`;
}

/** The totals as lines. */
export function renderTally(tally: Tally): string[] {
  return [
    ...["themes", "faults", "starts", "kills", "moments"].flatMap((section) => tally.render(section)),
    `checkpoints of which a kill left the temporary file: ${tally.sum("midst")}`,
    `rows skipped and found in the file: ${tally.sum("skipped rows")}`,
    `rows compared with the reference, in both directions: ${tally.sum("rows")}`,
    `targets that verify compared as well: ${tally.sum("verified")}`,
  ];
}
