import { newSeed, randomFrom } from "./data/random.ts";

/**
 * Of cases that differ in one thing only, so many, drawn at random by the seed of the suite: another commit tries others, and
 * `bun run test:full` tries them all.
 */
export function sampled<Case>(cases: readonly Case[], count: number): Case[] {
  if (process.env["FULL"] === "1") return [...cases];
  const drawn = new Set(randomFrom(newSeed()).shuffle(cases).slice(0, count));
  return cases.filter((one) => drawn.has(one));
}
