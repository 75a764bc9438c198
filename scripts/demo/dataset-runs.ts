/** The statement that makes dataset runs: two runs over one dataset, whose items name whole traces, or a span within. */
export function datasetRunStatement(): string {
  // A trace in a hundred is of an experiment; of every third of these the item names the span below which it happened.
  return `INSERT INTO dataset_run_items_rmt
  (id, project_id, dataset_run_id, dataset_item_id, dataset_id, trace_id, observation_id, created_at, updated_at,
   dataset_run_name, dataset_run_description, dataset_run_metadata, dataset_run_created_at, dataset_item_input,
   dataset_item_expected_output, dataset_item_metadata, event_ts, is_deleted, dataset_item_version)
WITH cityHash64(t.id) AS dice, if(dice % 2 = 0, 'baseline', 'new prompt') AS run
SELECT concat('item-of-run-', toString(dice)), t.project_id, concat('run-', if(dice % 2 = 0, '1', '2')),
  concat('item-', toString(intDiv(dice, 2) % 12)), 'refunds', t.id,
  if(dice % 3 = 0, o.span, NULL), t.timestamp, t.timestamp, run, NULL,
  map('model', if(dice % 2 = 0, 'gpt-4o', 'claude-sonnet-4-5')), toDateTime64('2025-11-01 00:00:00', 3), 'a question',
  'an apology, the policy, and the next step', map('difficulty', ['easy', 'hard'][1 + dice % 2]), t.timestamp, 0,
  toDateTime64('2025-10-01 00:00:00', 3)
FROM traces AS t FINAL
LEFT JOIN (
  SELECT project_id, trace_id, argMin(id, start_time) AS span FROM observations FINAL GROUP BY project_id, trace_id
) AS o ON o.project_id = t.project_id AND o.trace_id = t.id
WHERE dice % 100 < 1 OR t.id IN (SELECT min(id) FROM traces)`;
}
