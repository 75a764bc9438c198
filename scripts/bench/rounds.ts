import { identifier } from "../../src/clickhouse/sql.ts";
import { cpuMsOf, findServerPid, type ProcessCost, runProcess } from "./child.ts";
import { type Contender, withDirectory } from "./contenders.ts";
import { TABLES } from "./data.ts";
import { DATABASE, type Dataset } from "./dataset.ts";
import { renderColumns, type Spread, spreadOf } from "./statistics.ts";

/** What one run of a contender took; `serverCpuMs` is null where the system does not tell. */
export interface Run extends ProcessCost {
  readonly contender: string;
  readonly serverCpuMs: number | null;
}

/** What several runs of a contender took. */
export interface Summary {
  readonly contender: string;
  readonly wallMs: Spread;
  readonly cpuMs: Spread;
  readonly serverCpuMs: Spread;
  readonly peakRssBytes: Spread;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/**
 * Runs the contender once on empty tables, and empties what it has filled: the merges would take the processor from the next
 * one. Rejects when it fails or when rows are missing.
 */
export async function runOnce({ server, size }: Dataset, contender: Contender): Promise<Run> {
  const table = { database: DATABASE };
  const empty = (): Promise<void> =>
    server.command(`TRUNCATE TABLE ${identifier(TABLES.events)} SYNC`, table);
  await empty();
  const pid = findServerPid();
  const serverCpu = (): number | null => (pid === null ? null : cpuMsOf(pid));
  const before = serverCpu();
  const { stdout, ...cost } = await withDirectory((directory) => runProcess(contender.command(directory)));
  const after = serverCpu();
  const reported = rowsOf(stdout);
  if (reported !== null && reported !== size.observations) {
    throw new Error(`${contender.name} tells of ${reported} rows, expected ${size.observations}:\n${stdout}`);
  }
  if (contender.target === TABLES.events) {
    const [row] = await server.queryJson<{ rows: number }>("SELECT count() AS rows FROM events", table);
    if (row?.rows !== size.observations)
      throw new Error(`${contender.name} left ${row?.rows} rows in events`);
    await empty();
  }
  const serverCpuMs = before === null || after === null ? null : after - before;
  return { contender: contender.name, ...cost, serverCpuMs };
}

/** The rows that the tool's report or a script's JSON tells of; null when it tells nothing. */
function rowsOf(stdout: string): number | null {
  const text = /Events inserted\s+([\d,]+)/.exec(stdout)?.[1] ?? /"rows":(\d+)/.exec(stdout)?.[1];
  return text === undefined ? null : Number(text.replaceAll(",", ""));
}

/** Runs all contenders in turn, `rounds` times, each round beginning with another one. */
export async function runRounds(
  dataset: Dataset,
  contenders: readonly Contender[],
  rounds: number,
  tell: (line: string) => void,
): Promise<Run[]> {
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = Math.floor((round * contenders.length) / rounds);
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const run = await runOnce(dataset, contender);
      runs.push(run);
      tell(`round ${round + 1}: ${run.contender}, ${(run.wallMs / 1000).toFixed(2)} s`);
    }
  }
  return runs;
}

export function summarize(contender: string, all: readonly Run[], { size, wireBytes }: Dataset): Summary {
  const runs = all.filter((run) => run.contender === contender);
  const wallMs = spreadOf(runs.map((run) => run.wallMs));
  return {
    contender,
    wallMs,
    cpuMs: spreadOf(runs.map(({ cpuMs }) => cpuMs)),
    serverCpuMs: spreadOf(runs.flatMap(({ serverCpuMs }) => (serverCpuMs === null ? [] : [serverCpuMs]))),
    peakRssBytes: spreadOf(runs.map(({ peakRssBytes }) => peakRssBytes)),
    rowsPerSecond: (size.observations / wallMs.median) * 1000,
    bytesPerSecond: (wireBytes / wallMs.median) * 1000,
  };
}

export function renderSummaries(summaries: readonly Summary[]): string {
  const seconds = ({ median, min, max }: Spread): string[] =>
    Number.isNaN(median)
      ? ["-", ""]
      : [(median / 1000).toFixed(2), `${(min / 1000).toFixed(2)}–${(max / 1000).toFixed(2)}`];
  const head = [
    "",
    "wall s",
    "",
    "client CPU s",
    "",
    "server CPU s",
    "",
    "peak RSS MB",
    "",
    "rows/s",
    "MB/s",
  ];
  const lines = summaries.map((summary) => {
    const { median, min, max } = summary.peakRssBytes;
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
    return [
      summary.contender,
      ...seconds(summary.wallMs),
      ...seconds(summary.cpuMs),
      ...seconds(summary.serverCpuMs),
      megabytes(median),
      `${megabytes(min)}–${megabytes(max)}`,
      Math.round(summary.rowsPerSecond).toLocaleString("en-US"),
      megabytes(summary.bytesPerSecond),
    ];
  });
  return renderColumns([head, ...lines]);
}
