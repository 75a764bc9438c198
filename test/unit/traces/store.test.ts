import { describe, expect, test } from "bun:test";
import { KeyCollector } from "../../../src/traces/key-collector.ts";
import { RECORD } from "../../../src/traces/record.ts";
import { SegmentWriter } from "../../../src/traces/segment-writer.ts";
import {
  createTraceStore,
  type FilledSegment,
  SEGMENT_BYTES,
  TraceStore,
} from "../../../src/traces/store.ts";
import { TraceStoreFullError } from "../../../src/traces/store-full-error.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import { fixed } from "../native/slow-codec.ts";
import { storeFor, storeOf, type TraceRow, traceBlock } from "./trace-rows.ts";

function randomKey(random: Random): string {
  return Buffer.from(random.hex(32), "hex").toString("latin1");
}

/** The user id of the trace with this key, which is less than 128 bytes long; null where no trace has it. */
function userOf(store: TraceStore, key: string): string | null {
  const address = store.find(Buffer.from(`pad${key}`, "latin1"), 3);
  if (address === 0) return null;
  const segment = store.segmentOf(address);
  const start = store.positionOf(address) + RECORD.attributes;
  return segment.toString("utf8", start + 1, start + 1 + (segment[start] as number));
}

function remove(store: TraceStore, key: string, eventTs: number | bigint): void {
  store.delete(Buffer.from(key + fixed(eventTs, 8), "latin1"), 0, 16);
}

const KEY = "0123456789abcdef";

describe("a trace store", () => {
  test("finds what was entered and nothing else", () => {
    const random = randomFrom(chooseSeed());
    const lists = Array.from({ length: 4 }, (_, list) =>
      Array.from({ length: 2000 }, (_, i) => ({ key: randomKey(random), userId: `${list}-${i}` })),
    );
    const store = storeOf(...lists);
    expect(lists.flat().filter(({ key, userId }) => userOf(store, key) !== userId)).toEqual([]);
    const others = Array.from({ length: 2000 }, () => randomKey(random));
    expect(others.filter((key) => userOf(store, key) !== null)).toEqual([]);
  });

  test("without traces finds none", () => {
    expect(userOf(storeOf(), KEY)).toBeNull();
    expect(userOf(storeOf([]), KEY)).toBeNull();
  });

  test("distinguishes keys that share their slot and their tag", () => {
    const rows = Array.from({ length: 300 }, (_, i) => ({
      key: `${"\xff".repeat(8)}${fixed(i, 8)}`,
      userId: `user ${i}`,
    }));
    const store = storeOf(rows.slice(0, 100), rows.slice(100, 250));
    for (const { key, userId } of rows.slice(0, 250)) expect(userOf(store, key)).toBe(userId);
    for (const { key } of rows.slice(250)) expect(userOf(store, key)).toBeNull();
  });

  test("wraps around at the end of its slots", () => {
    const keys = ["\xff\xff\xff\xff", "\0\0\0\0"].flatMap((start) =>
      Array.from({ length: 20 }, (_, i) => `${start}${fixed(i, 4)}${"x".repeat(8)}`),
    );
    const store = storeOf(keys.map((key, i) => ({ key, userId: `${i}` })));
    expect(keys.map((key) => userOf(store, key))).toEqual(keys.map((_, i) => `${i}`));
  });
});

describe("of several versions of a trace", () => {
  const LARGE = 1_740_000_000_000_000n;
  for (const [what, older, newer] of [
    ["the later event_ts", { eventTs: 1 }, { eventTs: 2 }],
    ["the later event_ts beyond 32 bits", { eventTs: LARGE }, { eventTs: LARGE + 2n ** 32n }],
    ["the later event_ts, lower halves reversed", { eventTs: 2n ** 32n - 1n }, { eventTs: 2n ** 32n }],
    ["the later event_ts, lower half beyond 31 bits", { eventTs: 1 }, { eventTs: 2n ** 31n + 5n }],
    ["the later event_ts, one before 1970", { eventTs: -5 }, { eventTs: 3 }],
    ["the later event_ts against the later date", { eventTs: 1, date: 9 }, { eventTs: 2, date: 1 }],
    ["the later date when event_ts is the same", { eventTs: 7, date: 300 }, { eventTs: 7, date: 40_000 }],
  ] as const) {
    test(`the newest counts: ${what}`, () => {
      const rows: TraceRow[] = [
        { key: KEY, userId: "older", ...older },
        { key: KEY, userId: "newer", ...newer },
      ];
      const [first, second] = rows as [TraceRow, TraceRow];
      for (const lists of [[[first, second]], [[second, first]], [[first], [second]], [[second], [first]]]) {
        expect(userOf(storeOf(...lists), KEY)).toBe("newer");
      }
    });
  }

  test("a deletion that is newer hides the trace", () => {
    const store = storeOf([
      { key: KEY, eventTs: LARGE, userId: "u" },
      { key: "another trace 16", eventTs: 1, userId: "other" },
    ]);
    remove(store, KEY, LARGE - 1n);
    expect(userOf(store, KEY)).toBe("u");
    remove(store, KEY, LARGE);
    expect(userOf(store, KEY)).toBe("u");
    remove(store, KEY, LARGE + 1n);
    expect(userOf(store, KEY)).toBeNull();
    expect(userOf(store, "another trace 16")).toBe("other");
    remove(store, "no such trace 16", 1);
    remove(store, KEY, LARGE + 2n ** 33n);
    expect(userOf(store, KEY)).toBeNull();
  });

  test("a deletion beyond 32 bits is newer than what came before", () => {
    const store = storeOf([{ key: KEY, eventTs: 2n ** 32n - 1n, userId: "u" }]);
    remove(store, KEY, 2n ** 32n);
    expect(userOf(store, KEY)).toBeNull();
  });
});

describe("a segment writer", () => {
  const huge = (key: string, bytes: number): TraceRow => ({
    key,
    userId: `u${key}`,
    metadata: [["m", "x".repeat(bytes)]],
  });
  const key = (i: number): string => `huge${fixed(i, 4)}trace ${i % 10} `.padEnd(16).slice(0, 16);

  test("keeps records larger than a segment apart from those that follow", () => {
    const rows = [
      huge(key(0), 100),
      huge(key(1), SEGMENT_BYTES + 1_000_000),
      ...Array.from({ length: 4 }, (_, i) => huge(key(2 + i), 1000)),
      huge(key(30), SEGMENT_BYTES - 100),
      huge(key(31), 10),
    ];
    const writer = new SegmentWriter(false);
    for (const row of rows) writer.append(traceBlock([row]));
    const { shared, places } = storeFor([writer]);
    const store = new TraceStore(shared);
    for (const { place, records } of places) store.addRecords(place, records);
    for (const row of rows) expect(userOf(store, row.key)).toBe(row.userId as string);
  });

  test("forgets what was written since a mark", () => {
    const writer = new SegmentWriter(false);
    const start = writer.mark();
    writer.append(traceBlock([{ key: key(0), userId: "first, thrown away" }]));
    writer.rollBack(start);
    expect(writer.written().segments).toEqual([]);
    writer.append(traceBlock([{ key: key(1), userId: "kept" }]));
    const mark = writer.mark();
    writer.append(traceBlock([{ key: key(2), userId: "thrown away" }]));
    writer.rollBack(mark);
    writer.append(traceBlock([{ key: key(4), userId: "kept too" }]));
    const second = writer.mark();
    writer.append(traceBlock([huge(key(3), SEGMENT_BYTES)]));
    writer.rollBack(second);
    writer.append(traceBlock([{ key: key(5), userId: "kept at last" }]));
    expect(writer.written().segments).toHaveLength(1);
    const { shared, places } = storeFor([writer]);
    const store = new TraceStore(shared);
    for (const { place, records } of places) store.addRecords(place, records);
    const users = [0, 1, 2, 3, 4, 5].map((i) => userOf(store, key(i)));
    expect(users).toEqual([null, "kept", null, null, "kept too", "kept at last"]);
  });

  test("reports the bytes that its records take", () => {
    const writer = new SegmentWriter(false);
    const bytes = writer.append(traceBlock([huge(key(0), 1000), huge(key(1), 10)]));
    expect(bytes).toBeGreaterThan(1010);
    expect(bytes % 8).toBe(0);
  });
});

test("addresses reach into the last of the segments", () => {
  const writer = new SegmentWriter(false);
  writer.append(traceBlock([{ key: KEY, userId: "u" }]));
  const { segments, keys } = writer.written();
  const [filled] = segments;
  if (filled === undefined) throw new Error("A segment was expected");
  for (const place of [511, 512, 1023]) {
    // The same segment is used at every index: a thousand of them would be 32 GiB.
    const store = new TraceStore(
      createTraceStore([{ segments: new Array<FilledSegment>(1024).fill(filled), keys }]),
    );
    store.addRecords(place, filled.records);
    expect(userOf(store, KEY)).toBe("u");
  }
});

test("more segments than addresses reach are refused", () => {
  const filled = { segment: { byteLength: SEGMENT_BYTES } as SharedArrayBuffer, records: 1 };
  const keys = new KeyCollector().share();
  const segments = new Array<FilledSegment>(1025).fill(filled);
  expect(() => createTraceStore([{ segments, keys }])).toThrow(TraceStoreFullError);
});

test("threads may enter records at the same time", async () => {
  const random = randomFrom(chooseSeed());
  const keys = Array.from({ length: 3000 }, () => randomKey(random));
  // Every key has a version in every segment; which is the newest differs.
  const lists = [0, 1, 2].map((list) =>
    keys.map((key, i) => ({ key, userId: `${list}`, eventTs: (i + list) % 3 })),
  );
  const writers = lists.map((rows) => {
    const writer = new SegmentWriter(false);
    writer.append(traceBlock(rows));
    return writer;
  });
  const { shared, places } = storeFor(writers);
  const workers = places.map((place) => {
    const worker = new Worker(new URL("./store-worker.ts", import.meta.url));
    const done = new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => reject(new Error(event.message));
    });
    worker.postMessage({ shared, ...place });
    return { worker, done };
  });
  try {
    await Promise.all(workers.map(({ done }) => done));
  } finally {
    for (const { worker } of workers) worker.terminate();
  }
  const store = new TraceStore(shared);
  keys.forEach((key, i) => {
    const newest = [0, 1, 2].find((list) => (i + list) % 3 === 2);
    expect(userOf(store, key)).toBe(String(newest));
  });
});
