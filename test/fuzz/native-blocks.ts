import { randomFrom } from "../support/data/random.ts";
import { sampleColumns } from "../unit/native/samples.ts";
import { type DecodedBlock, decodeBlocks, encodeBlock } from "../unit/native/slow-codec.ts";

/** A response as a server sends it, and what is in it. */
export interface Response {
  readonly bytes: Buffer;
  readonly blocks: readonly DecodedBlock[];
}

const RESPONSES = 256;
const made = new Map<number, Response>();

/** One of some hundred responses of a few blocks of a few columns each; the same for the same number. */
export function sampleResponse(number: number): Response {
  const seed = number % RESPONSES;
  const known = made.get(seed);
  if (known !== undefined) return known;
  const random = randomFrom(seed);
  const columns = random.shuffle(sampleColumns(random, 0).map((_, i) => i)).slice(0, 1 + random.below(5));
  const blocks = Array.from({ length: 1 + random.below(3) }, () => {
    const all = sampleColumns(random, random.chance(0.1) ? 0 : 1 + random.below(12));
    return encodeBlock(columns.flatMap((i) => all[i] ?? []));
  });
  const response = responseOf(Buffer.concat(blocks));
  made.set(seed, response);
  return response;
}

/** Takes the bytes of a response apart. */
export function responseOf(bytes: Buffer): Response {
  return { bytes, blocks: decodeBlocks(bytes) };
}
