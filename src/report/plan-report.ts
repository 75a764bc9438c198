import type { Forecast, MonthForecast } from "../forecast/forecast.ts";
import type { ColumnPlan } from "../forecast/month-details.ts";
import { formatCount, formatSeconds } from "./format.ts";
import { renderTable } from "./table.ts";

/** What is known of a month's checkpoint, in a word. */
export type CheckpointWord = (partition: string) => string;

/** Bytes in the unit that fits: `12.3 GB`. */
export function formatBytes(bytes: number): string {
  const [unit, size] = (
    [
      ["TB", 1e12],
      ["GB", 1e9],
      ["MB", 1e6],
    ] as const
  ).find(([, size]) => bytes >= size) ?? ["kB", 1e3];
  return `${(bytes / size).toFixed(1)} ${unit}`;
}

/** The forecast for people, newline included. `command` runs what is planned. */
export function renderPlan(forecast: Forecast, checkpointOf: CheckpointWord, command: string): string {
  const { months } = forecast;
  return `${[
    `ClickHouse ${forecast.serverVersion}. Layout ${forecast.layout.name}: ${forecast.layout.reason}.`,
    "",
    ...monthsTable(months, checkpointOf),
    "",
    ...totals(forecast),
    ...details(forecast),
    ...forecast.warnings.map((warning) => `Warning: ${warning}`),
    "",
    "To run it:",
    `  ${command}`,
  ].join("\n")}\n`;
}

function monthsTable(months: readonly MonthForecast[], checkpointOf: CheckpointWord): string[] {
  const head = ["Month", "Observations", "Size", "Traces", "In the target", "Checkpoint", "Time", "Memory"];
  const rows = months.map((month) => [
    month.partition,
    formatCount(month.observations.rows),
    month.observations.bytes === null ? "" : formatBytes(month.observations.bytes),
    formatCount(month.traces.rows),
    formatCount(month.target.rows),
    checkpointOf(month.partition),
    month.seconds === null ? "" : formatSeconds(Math.ceil(month.seconds) * 1000),
    formatBytes(month.memoryBytes),
  ]);
  return renderTable([head, ...rows], [1, 2, 3, 4, 6, 7]);
}

function totals({ months, speed, room }: Forecast): string[] {
  const sum = (value: (month: MonthForecast) => number): number =>
    months.reduce((total, month) => total + value(month), 0);
  const lines: string[] = ["Rows are counted with their old versions, which a run does not copy."];
  if (speed !== null) {
    const seconds = sum((month) => month.seconds ?? 0);
    const how =
      speed.source === "record"
        ? "as fast as the runs that the checkpoints record"
        : "as a probe of reading suggests, and what the target's indexes cost on top";
    lines.push(
      `Time: ${formatSeconds(Math.ceil(seconds) * 1000)} for all, at ${formatCount(speed.rowsPerSecond)} rows/s, ${how};`,
      `  it may take from ${formatSeconds((seconds / speed.uncertainty) * 1000)} to ${formatSeconds(seconds * speed.uncertainty * 1000)}.`,
    );
  }
  const memory = Math.max(0, ...months.map((month) => month.memoryBytes));
  lines.push(`Memory of this program: ${formatBytes(memory)} at most, as a sample of the traces suggests.`);
  const disk = sum((month) => month.diskBytes ?? 0);
  if (disk > 0) {
    const merges = Math.max(0, ...months.map((month) => month.diskBytes ?? 0));
    const free = room.freeBytes === null ? "" : `, of ${formatBytes(room.freeBytes)} free`;
    const isTight = room.freeBytes !== null && room.freeBytes < disk + merges;
    lines.push(
      `Disk of the server: ${formatBytes(disk)} to come, and ${formatBytes(merges)} more while a month is merged${free}${isTight ? ": THAT IS NOT ENOUGH" : ""}.`,
    );
  }
  const parts = Math.max(0, ...months.map((month) => month.target.activeParts ?? 0));
  if (room.maxParts !== null) {
    lines.push(
      `Parts: at most ${formatCount(parts)} in a month of the target, of ${formatCount(room.maxParts)} at which inserts are rejected.`,
    );
  }
  return lines;
}

function details({ details: found }: Forecast): string[] {
  if (found === null) return [];
  const { columns, pages, projects, engine } = found;
  return [
    `Pages: about ${formatCount(pages)}.`,
    `Columns: ${columns.filled.length} filled; ${columns.defaulted.length} left to their defaults${listed(columns.defaulted)}; ${columns.leftOut.length} that the target does not have${listed(columns.leftOut)}.`,
    `Engine: ${engine.name}, since ${engine.reason}.`,
    "Largest projects:",
    ...projects.map(({ project, rows }) => `  ${formatCount(rows).padStart(15)}  ${JSON.stringify(project)}`),
  ];
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? "" : ` (${names.join(", ")})`;
}

/** The forecast as a JSON object, newline included. Names are documented and stay as they are. */
export function renderPlanJson(forecast: Forecast, checkpointOf: CheckpointWord, command: string): string {
  const { speed, room, details: found } = forecast;
  const document = {
    server_version: forecast.serverVersion,
    layout: forecast.layout.name,
    months: forecast.months.map((month) => ({
      month: month.partition,
      observations: month.observations.rows,
      bytes: month.observations.bytes,
      traces: month.traces.rows,
      target_rows: month.target.rows,
      target_parts: month.target.activeParts,
      checkpoint: checkpointOf(month.partition),
      seconds: month.seconds === null ? null : Math.ceil(month.seconds),
      memory_bytes: Math.round(month.memoryBytes),
      disk_bytes: month.diskBytes === null ? null : Math.round(month.diskBytes),
    })),
    rows_per_second: speed === null ? null : Math.round(speed.rowsPerSecond),
    speed_from: speed?.source ?? null,
    uncertainty: speed?.uncertainty ?? null,
    free_disk_bytes: room.freeBytes,
    max_parts: room.maxParts,
    server_cores: room.cores,
    warnings: forecast.warnings,
    columns: found === null ? null : columnsJson(found.columns),
    pages: found?.pages ?? null,
    projects: found?.projects ?? null,
    engine: found?.engine.name ?? null,
    command,
  };
  return `${JSON.stringify(document)}\n`;
}

function columnsJson({ filled, defaulted, leftOut }: ColumnPlan): object {
  return { filled, defaulted, left_out: leftOut };
}
