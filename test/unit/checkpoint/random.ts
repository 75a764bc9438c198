/** A reproducible source of numbers. The seed is printed when a test fails, through {@link withSeed}. */
export interface Random {
  /** From 0 to `limit - 1`. */
  below(limit: number): number;
  pick<Item>(items: readonly Item[]): Item;
  shuffle<Item>(items: readonly Item[]): Item[];
}

/** Runs a property once per seed and names the seed when it fails. `SEED` in the environment repeats a single one. */
export function withSeed(rounds: number, property: (random: Random) => void): void {
  const given = process.env["SEED"];
  const first = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  for (let seed = first; seed < first + (given === undefined ? rounds : 1); seed += 1) {
    try {
      property(randomOf(seed));
    } catch (error) {
      throw new Error(`Fails with SEED=${seed}`, { cause: error });
    }
  }
}

/** Mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed;
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((((mixed ^ (mixed >>> 14)) >>> 0) * limit) / 2 ** 32) | 0;
  };
  return {
    below,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("Nothing to pick from");
      return item;
    },
    shuffle: (items) => {
      const shuffled = [...items];
      for (let at = shuffled.length - 1; at > 0; at -= 1) {
        const other = below(at + 1);
        [shuffled[at], shuffled[other]] = [shuffled[other], shuffled[at]] as [never, never];
      }
      return shuffled;
    },
  };
}
