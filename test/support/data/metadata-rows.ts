import { jsonValue, randomValue } from "../../unit/json/values.ts";
import type { Random } from "./random.ts";

/** One row's metadata: values by distinct keys, as bytes. */
export type MetadataRow = readonly (readonly [key: Buffer, value: Buffer])[];
type Draw = (random: Random) => string | Buffer;

/** What SDKs write: every key has values of its kind. */
const USUAL: Readonly<Record<string, Draw>> = {
  langgraph_step: (random) => String(random.below(100)),
  thread_id: (random) => random.hex(16),
  session: (random) => random.uuid(),
  scope: (random) => `{"name":"langfuse-sdk","version":"3.${random.below(9)}.1"}`,
  resourceAttributes: (random) =>
    `{"service.name":"api-${random.below(9)}","process.pid":${random.below(99999)}}`,
  tenant: (random) => `tenant-${random.below(20)}`,
  region: (random) => random.pick(["eu-west-1", "us-east-1", ""]),
  experiment: (random) => `{"arm": ${random.below(3)}, "enrolled": ${random.chance(0.5)}, "note": null}`,
  score: (random) => String(random.below(100) / 7),
  price: (random) => `${random.below(1000)}.${random.below(10)}`,
  weights: (random) => `[${random.below(9)}.5, ${random.below(9)}, null]`,
  tags: (random) => random.pick(['["a","b\\n"]', "[]", '["é"]', "[null]"]),
  flags: (random) => random.pick(["[true]", "[ false , true ]"]),
  attempts: (random) => random.pick(["[1,2,3]", "[-1]", "[9223372036854775807]"]),
  text: (random) => random.pick(['line\nof "text"', "ünï\t🙂", "2024-01-01", "not{json", "\u0000"]),
  quoted: (random) => random.pick(['"text"', '"a\\"b"', '"\\u00e9\\ud83d\\ude00\\u0000\\u20ac"', '""']),
  "gen_ai.model": (random) => random.pick(["gpt-4", "claude"]),
  nanoseconds: (random) => `17${random.below(1e9)}${String(random.below(1e8)).padStart(8, "0")}`,
  clé: (random) => random.pick(["true", "false", "null", "1", "1.5", "x"]),
  nested: (random) => `{"a":{"b":{"c":${random.below(9)}},"d e":"${random.hex(4)}"},"e":{}}`,
  empty: (random) => random.pick(["null", "{}", '{"a":null}']),
  broken: (random) => Buffer.from(random.pick(["a\xff", "\xc3", "\xf0\x9fx\\"]), "latin1"),
};

const SCALARS: readonly Draw[] = [
  (random) =>
    random.pick([
      "0",
      "-0",
      "1e3",
      "-1E-2",
      "1.0",
      "-0.0",
      "1e-400",
      "5e-324",
      "0e9",
      "2.2250738585072011e-308",
    ]),
  (random) =>
    random.pick(["9007199254740993", "9223372036854775807", "-9223372036854775808", "-1234567890123456789"]),
  (random) => `${random.chance(0.5) ? "-" : ""}${random.below(10 ** random.below(10))}`,
  (random) => `${random.below(2 ** 31)}.${random.below(2 ** 31)}e${random.below(600) - 310}`,
  (random) => `${random.below(10 ** 7)}.${random.below(10 ** 7)}`,
  (random) => String(Math.fround(random.below(2 ** 31) / (1 + random.below(2 ** 31)))),
  (random) => `0.${"0".repeat(random.below(30))}${random.below(2 ** 31)}${random.below(2 ** 31)}`,
  (random) => random.hex(random.below(300)),
  (random) => "é".repeat(random.below(100)),
  (random) => random.pick(["true", "false", "null"]),
  (random) => `"${random.pick(["\\b\\f\\n\\r\\t\\/\\\\", "\\uD83D\\uDE00", "\\u07ff\\u0800\\uffff", "x"])}"`,
];

function bytes(text: string | Buffer): Buffer {
  return typeof text === "string" ? Buffer.from(text) : text;
}

function rowOf(entries: readonly (readonly [string, string | Buffer])[]): MetadataRow {
  return [...new Map(entries)].map(([key, value]) => [Buffer.from(key), bytes(value)]);
}

/** Rows as they usually are. */
export function usualRows(random: Random): MetadataRow[] {
  const share = random.pick([0.1, 0.6, 1]);
  return Array.from({ length: 1 + random.below(300) }, () => {
    const chosen = Object.entries(USUAL).filter(() => random.chance(share));
    return rowOf(random.shuffle(chosen.map(([key, draw]) => [key, draw(random)] as const)));
  });
}

/** Scalars of all kinds under few keys, so that paths get several types. */
export function scalarRows(random: Random): MetadataRow[] {
  const keys = ["a", "b.c", "b.d", "k".repeat(1 + random.below(2000)), 'q"\\', "ключ"];
  return Array.from({ length: 1 + random.below(200) }, () =>
    rowOf(Array.from({ length: random.below(6) }, () => [random.pick(keys), random.pick(SCALARS)(random)])),
  );
}

/** Many paths, few of them in a row. */
export function sparseRows(random: Random): MetadataRow[] {
  const paths = random.pick([100, 400, 700]);
  return Array.from({ length: random.below(400) }, () =>
    rowOf(Array.from({ length: 4 }, () => [`key ${random.below(paths)}`, random.pick(SCALARS)(random)])),
  );
}

/** Few rows of anything: JSON of any shape, almost JSON, broken bytes, keys that meet. */
export function wildRows(random: Random): MetadataRow[] {
  const keys = ["a", "b", "a.b", "a.b.c", ".", "", "a.", "é", "a\nb"];
  const value = (): Buffer =>
    random.chance(0.5) ? Buffer.from(jsonValue(random, 1 + random.below(3))) : randomValue(random);
  return Array.from({ length: random.below(4) }, () =>
    rowOf(Array.from({ length: random.below(3) }, () => [random.pick(keys), value()])),
  );
}

/** Few rows of arrays under few keys, so that paths have arrays of several types. */
export function arrayRows(random: Random): MetadataRow[] {
  const elements = ["1", "-2", "1.5", "null", "null", '"s"', "true", "9007199254740993", "{}", "[]"];
  const array = (): string => {
    const kinds = [random.pick(elements), random.pick(elements)];
    return `[${Array.from({ length: random.below(4) }, () => random.pick(kinds)).join()}]`;
  };
  return Array.from({ length: 1 + random.below(4) }, () => rowOf([[random.pick(["a", "b"]), array()]]));
}

/** Few rows with keys and objects whose paths meet, with nulls, and with keys that look alike in JSON. */
export function meetingRows(random: Random): MetadataRow[] {
  const plain = ["b", "c", "b.c", "b.c"];
  const escaped = ['\\"', "\\\\n", "\\n", '\\":', "\\u0062", ""];
  const names = random.chance(0.5) ? plain : escaped;
  const value = (depth: number): string => {
    if (depth === 0 || random.chance(0.3)) return random.pick(["1", '"x"', "null", "null", "{}"]);
    const members = Array.from(
      { length: random.below(4) },
      () => `"${random.pick(names)}":${value(depth - 1)}`,
    );
    return `{${members.join()}}`;
  };
  const keys = ["a", "a", "a.b", "a.b.c", "b"];
  const anyRow = (): MetadataRow =>
    rowOf(Array.from({ length: 1 + random.below(2) }, () => [random.pick(keys), value(3)]));
  // The smallest of those where the object becomes a string if the paths meet.
  const pair = (): MetadataRow =>
    rowOf(
      random.shuffle([
        ["a", `{"${random.pick(plain)}":${value(0)}}`],
        [random.pick(["a.b", "a.c", "ab"]), value(0)],
      ]),
    );
  return Array.from({ length: 1 + random.below(3) }, () => (random.chance(0.4) ? pair() : anyRow()));
}
