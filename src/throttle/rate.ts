/** What a rate counts: bytes of the rows as they are read, or rows. */
export type RateUnit = "bytes" | "rows";

/** An upper limit of a run's speed. */
export interface Rate {
  readonly unit: RateUnit;
  readonly perSecond: number;
}

/** How a rate is written; follows the word "expected" in messages. */
export const A_RATE = "bytes or rows a second, at least 1MB or 1000rows, such as 20MB, 1.5GB or 5000rows";

const BYTES: Readonly<Record<string, number>> = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9 };
const RATE = /^(\d{1,12}(?:\.\d{1,6})?) ?(B|kB|MB|GB|rows?)(?:\/s)?$/i;
/** At less a block takes so long that the server gives up sending the next one. */
const MIN_PER_SECOND = { bytes: 1_000_000, rows: 1_000 } as const;
/** What a block holds, about: 10,000 rows, or as many as make 15 MB. */
const BLOCK = { bytes: 15_000_000, rows: 10_000 } as const;
/** A response may rest for so long; the server's own limit is 30 s. */
const MAX_REST_SECONDS = 10;

/** How many pipelines share a rate so that each of them reads on often enough. */
export function pipelinesAt({ unit, perSecond }: Rate): number {
  return Math.max(1, Math.floor((perSecond * MAX_REST_SECONDS) / BLOCK[unit]));
}

/** The rate that a text such as `20MB` or `5000rows` names; null where it names none. */
export function parseRate(text: string): Rate | null {
  const [, digits = "", word = ""] = RATE.exec(text) ?? [];
  const size = BYTES[word.toLowerCase()];
  const rate: Rate =
    size === undefined
      ? { unit: "rows", perSecond: Number(digits) }
      : { unit: "bytes", perSecond: Number(digits) * size };
  return digits !== "" && rate.perSecond >= MIN_PER_SECOND[rate.unit] ? rate : null;
}

/** The rate as `parseRate` takes it. */
export function formatRate({ unit, perSecond }: Rate): string {
  if (unit === "rows") return `${perSecond}rows`;
  const [name, size] = Object.entries({ GB: 1e9, MB: 1e6, kB: 1e3 }).find(
    ([, size]) => perSecond >= size,
  ) ?? ["B", 1];
  return `${Number((perSecond / size).toFixed(3))}${name}`;
}
