import { describe, expect, test } from "bun:test";
import { MappingError, type ResolvedMapping, resolveMapping } from "../../../src/mapping/resolve-mapping.ts";
import { type Columns, EVENTS, OBSERVATIONS, shape, TRACES, without } from "./shapes.ts";

function resolve(
  source: Columns = OBSERVATIONS,
  traces: Columns = TRACES,
  target: Columns = EVENTS,
  computed: readonly string[] = [],
): ResolvedMapping {
  return resolveMapping({
    source: shape("observations", source),
    traces: shape("traces", traces),
    target: shape("events", target, computed),
  });
}

function problemsOf(...tables: Parameters<typeof resolve>): readonly string[] {
  try {
    resolve(...tables);
  } catch (error) {
    if (error instanceof MappingError) return error.problems;
    throw error;
  }
  return [];
}

function namesOf({ copied, derived }: ResolvedMapping): string[] {
  return [...copied.map(({ name }) => name), ...derived.map(({ column }) => column.name)];
}

describe("the mapping", () => {
  test("fills every column of events but those that have no source", () => {
    expect(namesOf(resolve()).sort()).toEqual(Object.keys(without(EVENTS, "service_name")).sort());
  });

  test("leaves out what the target lacks or computes", () => {
    const target = without(EVENTS, "tags", "version", "bookmarked", "metadata", "prompt_version");
    const mapping = resolve(OBSERVATIONS, TRACES, target, ["input"]);
    const expected = without(target, "service_name", "input");
    expect(namesOf(mapping).sort()).toEqual(Object.keys(expected).sort());
    expect(mapping.tagsBecomeMetadata).toBe(true);
    expect(mapping.helpers.map(({ name }) => name)).toEqual(["__trace_key", "__metadata"]);
  });

  test("puts tags into the metadata unless the target has a column that takes them", () => {
    expect(resolve().tagsBecomeMetadata).toBe(false);
    expect(resolve(OBSERVATIONS, TRACES, without(EVENTS, "tags")).tagsBecomeMetadata).toBe(true);
    expect(resolve(OBSERVATIONS, TRACES, EVENTS, ["tags"]).tagsBecomeMetadata).toBe(true);
  });

  test("counts as empty what an older source lacks", () => {
    const source = without(
      OBSERVATIONS,
      "version",
      "parent_observation_id",
      "metadata",
      "cost_details",
      "end_time",
    );
    const { copied, helpers } = resolve(source);
    const sqlOf = (name: string): string | undefined =>
      [...copied, ...helpers].find((item) => item.name === name)?.sql;
    expect(sqlOf("__own_version")).toBe("''");
    expect(sqlOf("__has_own_version")).toBe("toUInt8(0)");
    expect(sqlOf("__parent_is_empty")).toBe("toUInt8(1)");
    expect(sqlOf("__metadata")).toStartWith("CAST(map()");
    expect(sqlOf("end_time")).toContain("NULL");
    expect(sqlOf("cost_details")).toContain("map()");
    expect(sqlOf("parent_span_id")).not.toContain("parent_observation_id");
  });

  test("counts as empty what older traces lack", () => {
    const { traceColumns } = resolve(
      OBSERVATIONS,
      without(TRACES, "session_id", "tags", "metadata", "bookmarked"),
    );
    expect(traceColumns.map(({ name }) => name)).toEqual(resolve().traceColumns.map(({ name }) => name));
    expect(traceColumns.filter(({ sql }) => sql.includes("t.")).map(({ name }) => name)).toEqual([
      ...["user_id", "release", "version", "name", "public"],
    ]);
  });

  test("copies newer columns where both sides have them", () => {
    const newer = { tool_calls: "Array(String)", usage_pricing_tier_id: "Nullable(String)" };
    const copiesNewer = (source: Columns, target: Columns): string[] =>
      namesOf(resolve(source, TRACES, target)).filter((name) => name in newer);
    expect(copiesNewer({ ...OBSERVATIONS, ...newer }, { ...EVENTS, ...newer })).toHaveLength(2);
    expect(copiesNewer({ ...OBSERVATIONS, ...newer }, EVENTS)).toEqual([]);
    expect(copiesNewer(OBSERVATIONS, { ...EVENTS, ...newer })).toEqual([]);
  });

  test("lists every problem at once", () => {
    const problems = problemsOf(
      {
        ...without(OBSERVATIONS, "trace_id", "event_ts"),
        name: "UInt64",
        metadata: "String",
        cost_details: "Map(String, Float64)",
      },
      { ...without(TRACES, "id", "event_ts"), tags: "String", timestamp: "String" },
      {
        ...without(EVENTS, "span_id"),
        start_time: "DateTime64(0)",
        prompt_version: "UInt16",
        input: "LowCardinality(UInt8)",
      },
    );
    for (const expected of [
      "observations: column trace_id is missing",
      "observations: column event_ts is missing",
      "observations: column name has type UInt64, expected String",
      "observations: column metadata has type String, expected Map(String, String)",
      "observations: column cost_details has type Map(String, Float64), expected Map(String, Decimal(18, 12))",
      "traces: column id is missing",
      "traces: column event_ts is missing",
      "traces: column tags has type String, expected Array(String)",
      "traces: column timestamp has type String, expected DateTime64",
      "events: column span_id is missing",
      "events: column start_time has type DateTime64(0), expected at least as many digits of a second as the source has (3)",
      "events: column prompt_version has type UInt16, expected Nullable(UInt16)",
      "events: column input has type LowCardinality(UInt8), expected String",
    ]) {
      expect(problems).toContain(expected);
    }
  });

  test("needs the columns that distinguish events, and no others", () => {
    for (const name of ["project_id", "trace_id", "span_id", "start_time", "event_ts"]) {
      expect(problemsOf(OBSERVATIONS, TRACES, without(EVENTS, name))).toContain(
        `events: column ${name} is missing`,
      );
      expect(problemsOf(OBSERVATIONS, TRACES, EVENTS, [name])).toContain(`events: column ${name} is missing`);
    }
    expect(problemsOf(OBSERVATIONS, TRACES, without(EVENTS, "name", "tags", "metadata"))).toEqual([]);
  });
});
