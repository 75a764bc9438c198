import parseMetrics from "parse-prometheus-text-format";

/** A value of a metric, with its labels. */
export interface MetricValue {
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The values of a document in Prometheus' text format. Throws where the parser takes a line for nothing. */
export function readMetrics(text: string): MetricValue[] {
  const values = parseMetrics(text).flatMap(({ name, type, metrics }) =>
    metrics.map(({ labels = {}, value }) => ({ name, type, labels, value: Number(value) })),
  );
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (values.length !== lines.length)
    throw new Error(`${values.length} values in ${lines.length} lines:\n${text}`);
  return values;
}
