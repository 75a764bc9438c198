/** A reproducible source of numbers: the same seed gives the same data on every machine. */
export interface Random {
  /** From 0 to `limit - 1`. */
  below(limit: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  shuffle<Item>(items: readonly Item[]): Item[];
  /** That many lowercase hex digits. */
  hex(digits: number): string;
  uuid(): string;
}

/** The seed that SEED names, the suite's, or a new one; printed to stderr, so that a failure can be repeated. */
export function chooseSeed(): number {
  const given = process.env["SEED"];
  const seed = given === undefined ? newSeed() : Number(given);
  process.stderr.write(`data of seed ${seed}; SEED=${seed} repeats it\n`);
  return seed;
}

/** The suite's seed, which `scripts/test.ts` sets so that one commit passes or fails the same everywhere; else a random one. */
export function newSeed(): number {
  const ofSuite = process.env["SUITE_SEED"];
  return ofSuite === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(ofSuite);
}

/** Mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  const hex = (digits: number): string => {
    let text = "";
    while (text.length < digits)
      text += below(2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return text.slice(0, digits);
  };
  return {
    below,
    hex,
    chance: (probability) => next() < probability,
    shuffle: (items) => {
      const shuffled = [...items];
      for (let at = shuffled.length - 1; at > 0; at -= 1) {
        const other = below(at + 1);
        [shuffled[at], shuffled[other]] = [shuffled[other], shuffled[at]] as [never, never];
      }
      return shuffled;
    },
    pick: (items) => {
      if (items.length === 0) throw new Error("Nothing to pick from");
      return items[below(items.length)] as (typeof items)[number];
    },
    uuid: () => [hex(8), hex(4), hex(4), hex(4), hex(12)].join("-"),
  };
}
