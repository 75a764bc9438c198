import { describe, expect, test } from "bun:test";
import type { Block } from "../../../src/clickhouse/native/block.ts";
import { Enricher } from "../../../src/copy/enrich/enricher.ts";
import { EventBlock } from "../../../src/copy/event-block.ts";
import { type ResolvedMapping, resolveMapping } from "../../../src/mapping/resolve-mapping.ts";
import type { TraceStore } from "../../../src/traces/store.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import { type Columns, EVENTS, OBSERVATIONS, shape, TRACES, without } from "../mapping/shapes.ts";
import { assemble } from "../native/assemble.ts";
import { decodeBlocks, encodeBlock, fixed, wire } from "../native/slow-codec.ts";
import { storeOf, type TraceRow } from "./trace-rows.ts";

interface Observation {
  /** Key of its trace: 16 characters of one byte. */
  readonly key: string;
  readonly version?: string;
  readonly hasParent?: boolean;
  readonly metadata?: readonly (readonly [string, string])[];
}

/** The derived columns of one event. */
interface MadeEvent {
  readonly user_id: string;
  readonly session_id: string;
  readonly release: string;
  readonly version: string;
  readonly trace_name: string;
  readonly tags: readonly string[];
  readonly public: boolean;
  readonly bookmarked: boolean;
  readonly metadata: string;
  readonly metadata_names: readonly string[];
  readonly metadata_raw_values: readonly string[];
  readonly source: string;
}

const TARGET: Columns = { ...EVENTS, trace_name: "String" };

function mappingFor(target: Columns): ResolvedMapping {
  const mapping = resolveMapping({
    source: shape("o", OBSERVATIONS),
    traces: shape("t", TRACES),
    target: shape("e", target),
  });
  // One copied column stands for all.
  return { ...mapping, copied: mapping.copied.filter(({ name }) => name === "span_id") };
}

/** The observations as a query returns them, in blocks of that many rows. */
function blocksOf(mapping: ResolvedMapping, rows: readonly Observation[], blockRows: number): Block[] {
  const response: Buffer[] = [];
  for (let from = 0; from < rows.length; from += blockRows) {
    const some = rows.slice(from, from + blockRows);
    const helpers = {
      __trace_key: { type: "FixedString(16)", values: some.map(({ key }) => key) },
      __metadata: {
        type: "Map(LowCardinality(String), String)",
        values: some.map(({ metadata }) => (metadata ?? []).map((entry) => entry.map(wire))),
      },
      __own_version: { type: "String", values: some.map(({ version }) => wire(version ?? "")) },
      __has_own_version: { type: "UInt8", values: some.map(({ version }) => fixed(version ? 1 : 0, 1)) },
      __parent_is_empty: { type: "UInt8", values: some.map(({ hasParent }) => fixed(hasParent ? 0 : 1, 1)) },
    };
    response.push(
      encodeBlock([
        { name: "span_id", type: "String", values: some.map((_, i) => `span ${from + i}`) },
        ...mapping.helpers.map(({ name }) => ({ name, ...helpers[name as keyof typeof helpers] })),
      ]),
    );
  }
  return assemble(response);
}

function enrich(
  store: TraceStore,
  rows: readonly Observation[],
  { target = TARGET, blockRows = 1000, batchRows = 1000 } = {},
): { events: Partial<MadeEvent>[]; withoutTrace: number } {
  const mapping = mappingFor(target);
  const enricher = new Enricher(store, mapping);
  const batch = new EventBlock(mapping, false);
  const events: Partial<MadeEvent>[] = [];
  let withoutTrace = 0;
  const send = (): void => {
    const expectedRows = batch.rows;
    withoutTrace += batch.withoutTrace;
    const sent = decodeBlocks(Buffer.concat(batch.body()));
    expect(sent.map((block) => block.rows)).toEqual([expectedRows]);
    events.push(...sent.flatMap(eventsOf));
    batch.reset();
  };
  for (const block of blocksOf(mapping, rows, blockRows)) {
    for (let from = 0; from < block.rows; ) {
      from = batch.take({ block, from, to: block.rows }, batchRows, enricher);
      if (batch.isFull(batchRows)) send();
    }
  }
  if (batch.rows > 0) send();
  return { events, withoutTrace };
}

/** The derived columns of each row; text as text. */
function eventsOf({ rows, columns }: ReturnType<typeof decodeBlocks>[number]): Partial<MadeEvent>[] {
  const text = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(text);
    return typeof value === "string" ? Buffer.from(value, "latin1").toString() : value;
  };
  return Array.from({ length: rows }, (_, row) => {
    const made = columns.filter(({ name }) => name !== "span_id" && name !== "event_bytes");
    return Object.fromEntries(
      made.map(({ name, type, values }) => [
        name,
        type === "Bool" ? values[row] === "\x01" : text(values[row]),
      ]),
    );
  });
}

const TRACE: TraceRow = {
  key: "trace with all 16",
  userId: "üser",
  sessionId: "session",
  release: "r1",
  version: "trace version",
  name: "trace name",
  tags: ["a", "", 'quo"te'],
  metadata: [
    ["both", "from the trace"],
    ["attributes", "left out"],
    ["only trace", '{"x":1}'],
  ],
  public: true,
  bookmarked: true,
};
const STORE = storeOf([
  { ...TRACE, key: TRACE.key.slice(0, 16) },
  { key: "a plain trace 16", userId: "plain" },
]);
const WITH_TRACE = { key: TRACE.key.slice(0, 16) };
const WITHOUT_TRACE = { key: "there is no trace".slice(0, 16) };

const EMPTY: MadeEvent = {
  user_id: "",
  session_id: "",
  release: "",
  version: "",
  trace_name: "",
  tags: [],
  public: false,
  bookmarked: false,
  metadata: "{}",
  metadata_names: [],
  metadata_raw_values: [],
  source: "ingestion-api",
};

function one(observation: Observation, target = TARGET, store = STORE): Partial<MadeEvent> {
  const [event] = enrich(store, [observation], { target }).events;
  if (event === undefined) throw new Error("An event was expected");
  return event;
}

describe("an event", () => {
  test("gets the attributes of its trace", () => {
    expect(one(WITH_TRACE)).toEqual({
      user_id: "üser",
      session_id: "session",
      release: "r1",
      version: "trace version",
      trace_name: "trace name",
      tags: ["a", "", 'quo"te'],
      public: true,
      bookmarked: true,
      metadata: '{"both":"from the trace","only trace":{"x":1}}',
      metadata_names: ["both", "only trace"],
      metadata_raw_values: ["from the trace", '{"x":1}'],
      source: "ingestion-api",
    });
  });

  test("stays empty where the trace is absent, or has nothing", () => {
    expect(one(WITHOUT_TRACE)).toEqual(EMPTY);
    expect(one({ key: "a plain trace 16" })).toEqual({ ...EMPTY, user_id: "plain" });
    expect(enrich(STORE, [WITH_TRACE, WITHOUT_TRACE, WITHOUT_TRACE]).withoutTrace).toBe(2);
  });

  test("has the observation's version unless that is empty", () => {
    expect(one({ ...WITH_TRACE, version: "own" }).version).toBe("own");
    expect(one({ ...WITHOUT_TRACE, version: "own" }).version).toBe("own");
    expect(one({ ...WITH_TRACE, version: "" }).version).toBe("trace version");
    expect(one({ ...WITH_TRACE, version: "v".repeat(300) }).version).toBe("v".repeat(300));
  });

  test("is bookmarked only where the observation has no parent", () => {
    expect(one({ ...WITH_TRACE, hasParent: true }).bookmarked).toBe(false);
    expect(one({ ...WITH_TRACE, hasParent: true }).public).toBe(true);
    expect(one({ ...WITHOUT_TRACE, hasParent: false }).bookmarked).toBe(false);
  });

  test("has the observation's metadata first, which wins", () => {
    const metadata = [
      ["z", "1"],
      ["both", "own"],
      ["attributes", "own ones stay"],
    ] as const;
    const event = one({ ...WITH_TRACE, metadata });
    expect(event.metadata_names).toEqual(["z", "both", "attributes", "only trace"]);
    expect(event.metadata_raw_values).toEqual(["1", "own", "own ones stay", '{"x":1}']);
    expect(event.metadata).toBe('{"z":1,"both":"own","attributes":"own ones stay","only trace":{"x":1}}');
  });

  test("keeps repeated keys in the arrays, and the first of them in the object", () => {
    const own = {
      metadata: [
        ["k", "1"],
        ["k", "2"],
      ] as const,
    };
    const store = storeOf([
      {
        ...WITH_TRACE,
        metadata: [
          ["t", "3"],
          ["k", "4"],
          ["t", "5"],
        ],
      },
    ]);
    const event = one({ ...WITH_TRACE, ...own }, TARGET, store);
    expect(event.metadata_names).toEqual(["k", "k", "t", "t"]);
    expect(event.metadata_raw_values).toEqual(["1", "2", "3", "5"]);
    expect(event.metadata).toBe('{"k":1,"t":3}');
  });

  test("comes from otel where either side has resource attributes", () => {
    const resource = [["resourceAttributes", "{}"]] as const;
    const store = storeOf([{ ...WITH_TRACE, metadata: resource }]);
    expect(one({ ...WITHOUT_TRACE, metadata: resource }).source).toBe("otel");
    expect(one(WITH_TRACE, TARGET, store).source).toBe("otel");
    expect(one({ ...WITH_TRACE, metadata: [["resourceattributes", "{}"]] }).source).toBe("ingestion-api");
  });

  test("has text that is not JSON in a JSON object", () => {
    const metadata = [
      ['a"b', "line\nbreak"],
      ["n", "1e400"],
      ["empty", ""],
    ] as const;
    const { metadata: json } = one({ ...WITHOUT_TRACE, metadata });
    expect(JSON.parse(json ?? "")).toEqual({ 'a"b': "line\nbreak", n: "1e400", empty: "" });
  });
});

test("a key means the same whichever writer numbered it, and however many keys there are", () => {
  const keys = Array.from({ length: 300 }, (_, i) => `${i % 7 === 0 ? "long ".repeat(30) : ""}key ${i}`);
  const rows = (backwards: boolean): TraceRow[] =>
    Array.from({ length: 100 }, (_, i) => {
      const own = keys.slice(i, i + 200);
      const metadata = (backwards ? own.reverse() : own).map((key): [string, string] => [key, `t ${key}`]);
      return { key: `${backwards ? "b" : "f"}${i}`.padEnd(16), metadata };
    });
  const lists = [rows(false), rows(true)] as const;
  const store = storeOf(...lists);
  for (const { key, metadata = [] } of lists.flat()) {
    const [common, absent] = [metadata[150]?.[0] ?? "", "of no trace"];
    const { events } = enrich(store, [
      {
        key,
        metadata: [
          [absent, "o"],
          [common, "o"],
        ],
      },
    ]);
    const others = metadata.filter(([name]) => name !== common);
    expect(events[0]?.metadata_names).toEqual([absent, common, ...others.map(([name]) => name)]);
    expect(events[0]?.metadata_raw_values).toEqual(["o", "o", ...others.map(([, value]) => value)]);
  }
});

describe("where the target has no tags", () => {
  const target = without(TARGET, "tags");
  const TAGS = '["a","","quo\\"te"]';

  test("they become a last entry of the metadata", () => {
    const event = one({ ...WITH_TRACE, metadata: [["k", "v"]] }, target);
    expect(event.tags).toBeUndefined();
    expect(event.metadata_names).toEqual(["k", "both", "only trace", "trace_tags"]);
    expect(event.metadata_raw_values?.at(-1)).toBe(TAGS);
    expect(event.metadata).toEndWith(`,"trace_tags":${TAGS}}`);
  });

  test("they do so without other metadata", () => {
    const store = storeOf([{ ...WITH_TRACE, tags: ["t"] }]);
    expect(one(WITH_TRACE, target, store).metadata).toBe('{"trace_tags":["t"]}');
  });

  test("an existing entry of that name stays as it is", () => {
    const own = one({ ...WITH_TRACE, metadata: [["trace_tags", "mine"]] }, target);
    expect(own.metadata_names).toEqual(["trace_tags", "both", "only trace"]);
    const store = storeOf([{ ...WITH_TRACE, tags: ["t"], metadata: [["trace_tags", "the trace's"]] }]);
    expect(one(WITH_TRACE, target, store).metadata).toBe('{"trace_tags":"the trace\'s"}');
  });

  test("a trace without tags adds no entry", () => {
    expect(one({ key: "a plain trace 16" }, target).metadata_names).toEqual([]);
  });
});

test("a target without any of the columns gets the copied ones", () => {
  const names = [
    "metadata",
    "metadata_names",
    "metadata_raw_values",
    "source",
    "tags",
    "public",
    "bookmarked",
  ];
  const target = without(TARGET, ...names, "user_id", "session_id", "release", "version", "trace_name");
  expect(enrich(STORE, [WITH_TRACE, WITHOUT_TRACE], { target })).toEqual({
    events: [{}, {}],
    withoutTrace: 1,
  });
});

/** The rules of the merge, row by row. */
function expected(
  observation: Observation,
  trace: TraceRow | undefined,
  withTags: boolean,
): Partial<MadeEvent> {
  const own = observation.metadata ?? [];
  const has = (entries: readonly (readonly [string, string])[], key: string): boolean =>
    entries.some(([name]) => name === key);
  const kept = (trace?.metadata ?? []).filter(([key]) => key !== "attributes" && !has(own, key));
  const merged = [...own, ...kept];
  if (!withTags && trace?.tags?.length && !has(merged, "trace_tags")) {
    merged.push(["trace_tags", JSON.stringify(trace.tags)]);
  }
  const firsts = merged.filter(([key], i) => merged.findIndex(([other]) => other === key) === i);
  const members = firsts.map(([key, value]) => {
    const isJson = /^(\d+|\{.*\}|\[.*\]|true)$/s.test(value);
    return `${JSON.stringify(key)}:${isJson ? value : JSON.stringify(value)}`;
  });
  return {
    user_id: trace?.userId ?? "",
    session_id: trace?.sessionId ?? "",
    release: trace?.release ?? "",
    version: observation.version || (trace?.version ?? ""),
    trace_name: trace?.name ?? "",
    ...(withTags ? { tags: trace?.tags ?? [] } : {}),
    public: trace?.public ?? false,
    bookmarked: (trace?.bookmarked ?? false) && !observation.hasParent,
    metadata: `{${members.join()}}`,
    metadata_names: merged.map(([key]) => key),
    metadata_raw_values: merged.map(([, value]) => value),
    source: has(merged, "resourceAttributes") ? "otel" : "ingestion-api",
  };
}

const KEYS = ["a", "b", "", "attributes", "resourceAttributes", "trace_tags", 'q"', "ключ", "k".repeat(140)];
const VALUES = ["", "text", "12", '{"x":[1]}', "[1,2]", "true", "line\n", "ü", "v".repeat(300)];

function randomEntries(random: Random): [string, string][] {
  const many = random.chance(0.05) ? 60 : 5;
  return Array.from({ length: random.below(many) }, (_, i) => [
    many > 5 ? `key ${random.below(90)}` : random.pick(KEYS),
    random.pick(VALUES) || `${i}`,
  ]);
}

test("events match the rules applied row by row, in blocks and batches of any size", () => {
  const random = randomFrom(chooseSeed());
  const traces = Array.from(
    { length: 200 },
    (): TraceRow => ({
      key: Buffer.from(random.hex(32), "hex").toString("latin1"),
      userId: random.pick(VALUES),
      sessionId: random.pick(VALUES),
      release: random.pick(VALUES),
      version: random.pick(VALUES),
      name: random.pick(VALUES),
      tags: Array.from({ length: random.below(4) }, () => random.pick(VALUES)),
      metadata: randomEntries(random),
      public: random.chance(0.5),
      bookmarked: random.chance(0.5),
    }),
  );
  const store = storeOf(traces.slice(0, 50), traces.slice(50, 150));
  const rows = Array.from({ length: 500 }, () => {
    const trace = random.below(traces.length);
    const observation: Observation = {
      key: (traces[trace] as TraceRow).key,
      version: random.pick(["", "own version"]),
      hasParent: random.chance(0.5),
      metadata: randomEntries(random),
    };
    return { observation, trace: trace < 150 ? traces[trace] : undefined };
  });
  for (const withTags of [true, false]) {
    const target = withTags ? TARGET : without(TARGET, "tags");
    const wanted = rows.map(({ observation, trace }) => expected(observation, trace, withTags));
    for (const [blockRows, batchRows] of [
      [500, 500],
      [7, 100],
      [100, 7],
      [64, 1],
      [33, 50],
    ] as const) {
      const observations = rows.map(({ observation }) => observation);
      const { events, withoutTrace } = enrich(store, observations, { target, blockRows, batchRows });
      expect(events).toEqual(wanted);
      expect(withoutTrace).toBe(rows.filter(({ trace }) => trace === undefined).length);
    }
  }
});
