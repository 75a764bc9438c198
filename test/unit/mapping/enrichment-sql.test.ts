import { expect, test } from "bun:test";
import { STRING_KEEPS } from "../../../src/json/kept-json.ts";
import {
  type EnrichmentScope,
  enrichedCountsSql,
  enrichmentSql,
} from "../../../src/mapping/enrichment-sql.ts";
import { EVENT_COLUMNS } from "../../../src/mapping/event-columns.ts";
import type { ResolvedMapping } from "../../../src/mapping/resolve-mapping.ts";

const SCOPE: EnrichmentScope = {
  phase: "observations",
  tables: { source: "observations", traces: "traces" },
  partition: "202511",
  window: { partition: "202511", windowDays: 2 },
  datasetRunItems: null,
};
const ROWS = { sql: "o.project_id = 'p'", params: {} };
const OF_SOURCE: ResolvedMapping = {
  copied: [{ name: "span_id", sql: "o.id" }],
  helpers: [],
  derived: [],
  traceColumns: [],
  tagsBecomeMetadata: false,
  keptJson: STRING_KEEPS,
};

function withDerived(name: string): ResolvedMapping {
  const column = EVENT_COLUMNS.find((candidate) => candidate.name === name);
  if (column === undefined) throw new Error(`no column ${name}`);
  return { ...OF_SOURCE, derived: [{ column, targetType: "String" }] };
}

test("traces are read where a column comes from them, and only there", () => {
  expect(enrichmentSql(OF_SOURCE, SCOPE, ROWS).sql).not.toContain("traces");
  for (const name of ["user_id", "source", "metadata"]) {
    expect(enrichmentSql(withDerived(name), SCOPE, ROWS).sql).toContain("LEFT JOIN");
  }
  expect(enrichedCountsSql(OF_SOURCE, SCOPE, ROWS, 10).sql).toContain("LEFT JOIN");
});
