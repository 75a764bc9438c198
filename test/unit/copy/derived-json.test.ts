import { expect, test } from "bun:test";
import { KeyDictionary } from "../../../src/clickhouse/native/key-dictionary.ts";
import { DerivedColumns } from "../../../src/copy/enrich/derived-columns.ts";
import { DerivedJson, type JsonTarget, KeyPaths } from "../../../src/copy/enrich/derived-json.ts";
import { EMBED, embedOf } from "../../../src/json/json-string.ts";
import { EVENT_COLUMNS } from "../../../src/mapping/event-columns.ts";

const KEYS = Buffer.from("\x01a\x01b", "latin1");
const TEXT_VERSION = 1;
const PATHS_VERSION = 3;
/** A value whose stored form only the server knows. */
const ODD = '[{"x":1}]';

/** What a batch is sent as when its rows have these values under the key `a`, written as text where that is needed. */
function send(json: DerivedJson, values: readonly string[]): Buffer {
  const keys = new KeyDictionary();
  keys.load(KEYS, 0, 2);
  const fill = (): void => {
    const paths = new KeyPaths();
    paths.begin(2);
    for (const value of values) {
      const bytes = Buffer.from(value);
      json.add(keys, 0, paths, false, bytes, 0, bytes.length, embedOf(bytes, 0, bytes.length));
      json.endRow();
    }
  };
  fill();
  if (!json.isExact) {
    json.restartAsText();
    fill();
  }
  const parts: Buffer[] = [];
  json.appendTo(parts, values.length);
  const sent = Buffer.concat(parts);
  json.reset();
  return sent;
}

/** The forms of batches of one row each. */
function formsOf(target: JsonTarget, batches: readonly string[]): string {
  const json = new DerivedJson(target);
  const form = new Map([
    [TEXT_VERSION, "t"],
    [PATHS_VERSION, "p"],
  ]);
  return batches.map((value) => form.get(Number(send(json, [value]).readBigUInt64LE())) ?? "?").join("");
}

test("values go as paths, as far as target and server take them", () => {
  expect(formsOf("paths", ["v", "1", '{"x":true}'])).toBe("ppp");
  expect(formsOf("text", ["v", "1", '{"x":true}'])).toBe("ttt");
});

test("one odd value makes a batch text, whole and in order", () => {
  const sent = send(new DerivedJson("paths"), ["v", ODD, "w"]);
  expect(sent.toString("latin1", 8)).toBe('\x09{"a":"v"}\x0f{"a":[{"x":1}]}\x09{"a":"w"}');
});

test("after odd values batches stay text for a while, longer each time, for at most 64 batches", () => {
  expect(formsOf("paths", [ODD, "v", "v", "v"])).toBe("ttpp");
  expect(formsOf("paths", [ODD, "v", ODD, "v", "v", "v", ODD, "v", "v"])).toBe("tttttpttp");
  const [odd, plain] = [new Array<string>(600).fill(ODD), new Array<string>(100).fill("v")];
  const forms = formsOf("paths", [...odd, ...plain]).slice(odd.length);
  expect(forms).toMatch(/^t{1,64}p+$/);
});

test("batches without rows do not count", () => {
  const json = new DerivedJson("paths");
  const isText = (value: string): boolean => {
    const version = send(json, [value]).readBigUInt64LE();
    for (let i = 0; i < 5; i++) json.reset();
    return version === BigInt(TEXT_VERSION);
  };
  expect([ODD, "v", ODD, "v", "v", "v"].map(isText)).toEqual([true, true, true, true, true, false]);
});

test("a batch that is restarted as text counts once more, next to other columns too", () => {
  const column = EVENT_COLUMNS.find(({ name }) => name === "metadata");
  if (column === undefined) throw new Error("Events have metadata");
  const made = new DerivedColumns([{ column, targetType: "JSON" }], true);
  const again: number[] = [];
  for (let batch = 0; batch < 40; batch++) {
    made.json?.addNamed(Buffer.from("a"), Buffer.from(ODD), 0, ODD.length, EMBED.asJson);
    made.json?.endRow();
    if (!made.isExact) {
      again.push(batch);
      made.restartAsText();
      made.json?.endRow();
    }
    made.reset();
  }
  expect(again).toEqual([0, 2, 5, 10, 19, 36]);
});

test("a String column holds the objects alone", () => {
  expect(send(new DerivedJson("string"), ["v", ODD]).toString("latin1")).toBe(
    '\x09{"a":"v"}\x0f{"a":[{"x":1}]}',
  );
});
