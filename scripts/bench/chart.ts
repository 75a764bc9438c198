/**
 * Draws rows per second and memory of the tool at its defaults, of the server's join and of a naive client, into the real
 * events, from the results of `bun run bench`.
 *
 *   bun scripts/bench/chart.ts <results.json> <chart.svg>
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { Summary } from "./rounds.ts";
import type { PeakQuery } from "./server-memory.ts";

/** What the chart shows of a contender. */
export interface Bar {
  readonly name: string;
  readonly rowsPerSecond: number;
  readonly clientBytes: number;
  /** The most that one of its queries took; null: not measured. */
  readonly serverBytes: number | null;
}

interface Results {
  readonly begunAt: string;
  readonly summaries: readonly Summary[];
  readonly toolPeak: PeakQuery | null;
  readonly joinPeak: PeakQuery | null;
  readonly machine: { readonly cpu: string; readonly cores: number };
  readonly plan: { readonly observations: number; readonly traces: number };
}

const WIDTH = 760;
const ROW_HEIGHT = 26;
const PANEL_GAP = 34;
const NAME_WIDTH = 190;
const VALUE_WIDTH = 130;
const BAR_WIDTH = WIDTH - NAME_WIDTH - VALUE_WIDTH;

if (import.meta.main) {
  const [from = "", to = ""] = process.argv.slice(2);
  const results = JSON.parse(readFileSync(from, "utf8")) as Results;
  writeFileSync(to, chart(barsOf(results), captionOf(results)));
}

function barsOf({ summaries, toolPeak, joinPeak }: Results): Bar[] {
  const bar = (name: string, contender: string, peak: PeakQuery | null): Bar[] => {
    const summary = summaries.find((candidate) => candidate.contender === contender);
    return summary === undefined
      ? []
      : [
          {
            name,
            rowsPerSecond: summary.rowsPerSecond,
            clientBytes: summary.peakRssBytes.median,
            serverBytes: peak?.bytes ?? null,
          },
        ];
  };
  return [
    ...bar("clickhouse-backfill", "tool, at its defaults, into events", toolPeak),
    ...bar("INSERT … SELECT … JOIN", "server join, into events", joinPeak),
    ...bar("naive client", "naive, into events", null),
  ];
}

function captionOf({ begunAt, machine, plan }: Results): string {
  const millions = (rows: number): string => rows.toLocaleString("en-US");
  return `${millions(plan.observations)} observations, ${millions(plan.traces)} traces, into events; client and server on ${machine.cores} cores (${machine.cpu}); ${begunAt.slice(0, 10)}`;
}

/** The chart as SVG, readable in light and dark. */
export function chart(bars: readonly Bar[], caption: string): string {
  const panelHeight = PANEL_GAP + bars.length * ROW_HEIGHT;
  const height = 3 * panelHeight + 40;
  const panels = [
    panel(0, "Rows per second", bars, ({ rowsPerSecond }) => ({
      value: rowsPerSecond,
      text: Math.round(rowsPerSecond).toLocaleString("en-US"),
    })),
    panel(panelHeight, "Peak memory of the client", bars, ({ name, clientBytes }) =>
      name.startsWith("INSERT")
        ? { value: 0, text: "none" }
        : { value: clientBytes, text: megabytes(clientBytes) },
    ),
    panel(2 * panelHeight, "Peak memory of one query in the server", bars, ({ serverBytes }) =>
      serverBytes === null
        ? { value: 0, text: "not measured" }
        : { value: serverBytes, text: megabytes(serverBytes) },
    ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Rows per second and memory">
<style>
text { font: 14px system-ui, sans-serif; fill: #24292f; }
.title { font-weight: 600; }
.caption { font-size: 12px; fill: #57606a; }
.bar { fill: #8c959f; }
.bar.own { fill: #fab219; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .caption { fill: #9198a1; } }
</style>
${panels.join("\n")}
<text class="caption" x="0" y="${height - 8}">${escapeXml(caption)}</text>
</svg>
`;
}

function panel(
  top: number,
  title: string,
  bars: readonly Bar[],
  measure: (bar: Bar) => { readonly value: number; readonly text: string },
): string {
  const measured = bars.map((bar) => ({ name: bar.name, ...measure(bar) }));
  const most = Math.max(1, ...measured.map(({ value }) => value));
  const rows = measured.map(({ name, value, text }, i) => {
    const y = top + PANEL_GAP + i * ROW_HEIGHT;
    const width = Math.round((value / most) * BAR_WIDTH);
    return `<text x="0" y="${y + 14}">${escapeXml(name)}</text>
<rect class="bar${i === 0 ? " own" : ""}" x="${NAME_WIDTH}" y="${y}" width="${width}" height="18" rx="2"/>
<text x="${NAME_WIDTH + width + 8}" y="${y + 14}">${escapeXml(text)}</text>`;
  });
  return [`<text class="title" x="0" y="${top + 20}">${escapeXml(title)}</text>`, ...rows].join("\n");
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6).toLocaleString("en-US")} MB`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
