import type { TestServer } from "../testbed/server.ts";

/** What a page of Langfuse v4 shows, and the query that it makes, as far as it matters here. */
interface LangfusePage {
  readonly title: string;
  readonly sql: string;
}

const NAMED = "notEmpty(experiment_id)";

const PAGES: readonly LangfusePage[] = [
  {
    title: "The table of traces: root rows, with what their spans add up to",
    sql: `SELECT root.name AS trace, root.user_id AS user, root.tags AS tags, spans, latency_s, round(toFloat64(cost), 4) AS cost
      FROM (SELECT * FROM events_full FINAL WHERE span_id = concat('t-', trace_id)) AS root
      JOIN (
        SELECT project_id, trace_id, countIf(span_id != concat('t-', trace_id)) AS spans,
          dateDiff('second', min(start_time), max(ifNull(end_time, start_time))) AS latency_s, sum(cost_details['total']) AS cost
        FROM events_full FINAL GROUP BY project_id, trace_id
      ) AS sums ON sums.project_id = root.project_id AND sums.trace_id = root.trace_id
      ORDER BY root.start_time DESC LIMIT 5`,
  },
  {
    title: "A trace: its spans, each with its parent",
    sql: `WITH (SELECT trace_id FROM events_full WHERE ${NAMED} ORDER BY trace_id LIMIT 1) AS shown
      SELECT start_time, type, name, leftUTF8(span_id, 12) AS span, leftUTF8(parent_span_id, 12) AS parent
      FROM events_full FINAL WHERE trace_id = shown ORDER BY parent_span_id != '', start_time LIMIT 8`,
  },
  {
    title: "An experiment: its items, and what came out",
    sql: `SELECT experiment_name AS experiment, experiment_item_id AS item, leftUTF8(experiment_item_root_span_id, 12) AS root,
        count() AS spans, any(experiment_item_expected_output) AS expected, leftUTF8(anyIf(output, span_id = experiment_item_root_span_id), 30) AS output
      FROM events_full FINAL WHERE ${NAMED}
      GROUP BY experiment, item, root, trace_id ORDER BY experiment, item LIMIT 8`,
  },
  {
    title: "events_core beside events_full",
    sql: `SELECT name, rows, formatReadableSize(input_bytes) AS input FROM (
        SELECT 'events_full' AS name, count() AS rows, sum(length(input)) AS input_bytes FROM events_full FINAL
        UNION ALL SELECT 'events_core' AS name, count() AS rows, sum(length(input)) AS input_bytes FROM events_core FINAL)
      ORDER BY name DESC`,
  },
];

/** Prints what Langfuse's pages show of the database. */
export async function showLangfusePages(server: TestServer, database: string): Promise<void> {
  for (const { title, sql } of PAGES) {
    const rows = await server.query(`${sql} FORMAT PrettyCompactMonoBlock`, {
      database,
      settings: { output_format_pretty_color: 0, output_format_pretty_row_numbers: 0 },
    });
    console.log(`\n  ${title}\n${rows.trimEnd().replaceAll(/^/gm, "  ")}`);
  }
}
