import type { Random } from "../support/data/random.ts";

type Mutation = (random: Random, bytes: Buffer) => Buffer;

/** Bytes that begin or end something in binary formats. */
const BYTES = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
/** Numbers at the limits of what formats hold. */
const NUMBERS = [
  0n,
  1n,
  2n,
  127n,
  128n,
  255n,
  256n,
  2n ** 16n,
  2n ** 28n,
  2n ** 28n + 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

const MUTATIONS: readonly Mutation[] = [
  (random, bytes) => {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    return bytes;
  },
  (random, bytes) => {
    bytes[random.below(bytes.length)] = random.pick(BYTES);
    return bytes;
  },
  (random, bytes) => {
    bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  // A little more or less: lengths and counts that are almost right.
  (random, bytes) => {
    const at = random.below(bytes.length);
    bytes[at] = ((bytes[at] ?? 0) + random.pick([1, 2, 255, 254])) & 255;
    return bytes;
  },
  (random, bytes) => {
    const number = Buffer.alloc(8);
    number.writeBigUInt64LE(random.pick(NUMBERS));
    number.copy(bytes, random.below(bytes.length));
    return bytes;
  },
  (random, bytes) => splice(bytes, random.below(bytes.length), 1, varint(random.pick(NUMBERS))),
  (random, bytes) =>
    splice(bytes, random.below(bytes.length + 1), 0, randomBytes(random, 1 + random.below(9))),
  (random, bytes) => splice(bytes, random.below(bytes.length), 1 + random.below(9), Buffer.alloc(0)),
  // A piece comes twice, or moves.
  (random, bytes) => {
    const from = random.below(bytes.length);
    const piece = Buffer.from(bytes.subarray(from, from + 1 + random.below(40)));
    return splice(bytes, random.below(bytes.length + 1), random.chance(0.5) ? piece.length : 0, piece);
  },
];

/** A copy of the bytes, of which there must be some, with one to four changes. */
export function mutated(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = 1 + random.below(4); left > 0 && changed.length > 0; left--) {
    changed = Buffer.from(random.pick(MUTATIONS)(random, changed));
  }
  return changed;
}

/** Random bytes. */
export function randomBytes(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => random.below(256)));
}

/** The bytes in pieces, cut at random places. */
export function pieces(random: Random, bytes: Buffer, most: number): Buffer[] {
  const cuts = Array.from({ length: random.below(most) }, () => random.below(bytes.length + 1));
  const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

function splice(bytes: Buffer, at: number, dropped: number, added: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + dropped)]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) + 128);
  return Buffer.from([...bytes, Number(rest)]);
}
