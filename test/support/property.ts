import { newSeed, type Random, randomFrom } from "./data/random.ts";

/** Runs a property once per seed and names the seed when it fails. `SEED` in the environment repeats a single one. */
export function withSeed(rounds: number, property: (random: Random) => void): void {
  const given = process.env["SEED"];
  const first = given === undefined ? newSeed() : Number(given);
  for (let seed = first; seed < first + (given === undefined ? rounds : 1); seed += 1) {
    try {
      property(randomFrom(seed));
    } catch (error) {
      throw new Error(`Fails with SEED=${seed}`, { cause: error });
    }
  }
}
