import { randomFrom } from "../support/data/random.ts";
import { sampleColumns } from "../unit/native/samples.ts";
import { type DecodedBlock, decodeBlocks, encodeBlock } from "../unit/native/slow-codec.ts";

/** An answer as a server sends it, and what is in it. */
export interface Answer {
  readonly bytes: Buffer;
  readonly blocks: readonly DecodedBlock[];
}

const ANSWERS = 256;
const made = new Map<number, Answer>();

/** One of some hundred answers of a few blocks of a few columns each; the same for the same number. */
export function sampleAnswer(number: number): Answer {
  const seed = number % ANSWERS;
  const known = made.get(seed);
  if (known !== undefined) return known;
  const random = randomFrom(seed);
  const columns = random.shuffle(sampleColumns(random, 0).map((_, i) => i)).slice(0, 1 + random.below(5));
  const blocks = Array.from({ length: 1 + random.below(3) }, () => {
    const all = sampleColumns(random, random.chance(0.1) ? 0 : 1 + random.below(12));
    return encodeBlock(columns.flatMap((i) => all[i] ?? []));
  });
  const answer = answerOf(Buffer.concat(blocks));
  made.set(seed, answer);
  return answer;
}

/** Takes the bytes of an answer apart. */
export function answerOf(bytes: Buffer): Answer {
  return { bytes, blocks: decodeBlocks(bytes) };
}
