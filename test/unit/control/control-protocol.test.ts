import { expect, test } from "bun:test";
import { parseOrder, UnknownOrderError } from "../../../src/control/control-protocol.ts";
import { messageOf } from "../config/settings.ts";

test.each([
  [["pause"], { order: "pause" }],
  [["resume"], { order: "resume" }],
  [["stop"], { order: "stop" }],
  [["set", "rate=20MB"], { order: "set", name: "rate", rate: { unit: "bytes", perSecond: 20_000_000 } }],
  [["set", "rate=none"], { order: "set", name: "rate", rate: null }],
  [["set", "workers=2"], { order: "set", name: "workers", workers: 2 }],
  [["set", "workers=256"], { order: "set", name: "workers", workers: 256 }],
] as const)("%j", (words, order) => {
  expect(parseOrder(words)).toEqual(order);
});

test.each<[string[], string]>([
  [[], "expected pause, resume, stop, set rate=<RATE> or set workers=<N>"],
  [["halt"], '"halt": expected pause'],
  [["pause", "now"], 'unexpected argument "now"'],
  [["set"], 'set "": expected rate=<RATE> or workers=<N>'],
  [["set", "speed=5"], 'set "speed=5": expected rate=<RATE> or workers=<N>'],
  [["set", "workers=0"], 'set workers="0": expected a whole number from 1 to 256'],
  [["set", "workers=257"], 'set workers="257": expected'],
  [["set", "rate=20"], 'set rate="20": expected bytes or rows a second'],
  [["set", "rate=20MB", "workers=2"], '"set rate=20MB workers=2": expected'],
])("%j is refused", (words, message) => {
  expect(() => parseOrder(words)).toThrow(UnknownOrderError);
  expect(messageOf(() => parseOrder(words))).toStartWith(message);
});
