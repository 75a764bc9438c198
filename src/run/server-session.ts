import { createHash } from "node:crypto";
import { hostname } from "node:os";
import { isAccessDenied, isUnknownTable, type RetryPolicy } from "../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../clickhouse/server.ts";
import { ENRICHMENT_SETTINGS, preferredInsertSettings } from "../clickhouse/settings/preferred-settings.ts";
import { preferredSettings } from "../clickhouse/settings/statement-settings.ts";
import { qualifiedTable } from "../clickhouse/sql.ts";
import type { PageResult } from "../copy/page-result.ts";
import { cancelAbandoned } from "../copy/running-query.ts";
import { ServerCopier } from "../copy/server-copier.ts";
import { jsonColumnType } from "../mapping/resolve-mapping.ts";
import { averageRowBytes, type Page, planPages } from "../plan/pages.ts";
import type { Rate } from "../throttle/rate.ts";
import type { BackfillOptions } from "./backfill-options.ts";
import { type CopySession, type PhaseCopy, withCopySession } from "./copy-session.ts";
import type { CopiedRange } from "./count-verification.ts";
import { inParallel } from "./in-parallel.ts";
import { castsJsonLikeData } from "./preflight/json-cast.ts";
import type { PreparedRun } from "./prepare.ts";
import type { RunContext } from "./run-context.ts";

/**
 * A session in which the server enriches and inserts the rows, page by page. Pages that it refuses, or whose JSON its SQL is not
 * certain of, are copied by this program in the end. Cancels what a killed run has left behind. Rejects with an OperationError.
 */
export async function serverSession(context: RunContext, prepared: PreparedRun): Promise<CopySession> {
  const { retry, options } = context;
  const { server, phases } = prepared;
  const prefix = queryIdPrefix(options);
  if (!options.dryRun) await cancelAbandoned(server, prefix);
  const [jsonType] = phases.flatMap(({ mapping }) => jsonColumnType(mapping.derived) ?? []);
  const statements = {
    // Of this run alone: the log must not name a query of an earlier run by the same id.
    queryIdPrefix: `${prefix}${context.id}-`,
    settings: await statementSettingsOf(context, prepared),
    castsJson: jsonType === undefined || (await castsJsonLikeData(server, jsonType, retry)),
  };
  return { copy: (phase, pages) => copyPages(context, prepared, statements, phase, pages) };
}

/** What the statements of a session have in common. */
interface Statements {
  readonly queryIdPrefix: string;
  readonly settings: QuerySettings;
  readonly castsJson: boolean;
}

async function copyPages(
  context: RunContext,
  prepared: PreparedRun,
  statements: Statements,
  { name, ledger }: PhaseCopy,
  pages: AsyncIterable<Page> | Iterable<Page>,
): Promise<CopiedRange[]> {
  const { options, progress, retry, emit, throttler, stop } = context;
  const phase = prepared.phases.find((known) => known.name === name);
  if (phase === undefined || name === "experiments") throw new TypeError(`No phase ${name} of a month`);
  const copied: CopiedRange[] = [];
  const refused: { page: Page; reason: string }[] = [];
  const readSinceMs = prepared.clock.nowMs();
  const { connection, tables } = options;
  const table = name === "roots" ? tables.traces : tables.source;
  const rowBytes = (await averageRowBytes(phase.scope, connection.database, table)) ?? USUAL_ROW_BYTES;
  const copier = new ServerCopier({
    ...statements,
    queryIdPrefix: `${statements.queryIdPrefix}${name}-`,
    server: prepared.server,
    scope: phase.scope,
    mapping: phase.mapping,
    enrichment: prepared.enrichmentOf(name),
    target: qualifiedTable(connection.database, tables.target),
    rows: phase.scope.pageRows,
    dryRun: options.dryRun,
    retry,
    maxWaitMs: options.maxWaitMs,
    onWait: (notice) => progress.wait(notice),
    admit: (rows) => throttler.throttle.admit(rows, rows * rowBytes, stop),
    maxRows: () => rowsOfStatement(throttler.state.rate, rowBytes),
    onSplit: (notice) => progress.handle({ kind: "split", notice }),
    onCopied: (page: Page, done: PageResult) => {
      if (!options.dryRun) ledger.finishPage(page.range, done.rows);
      copied.push({ range: page.range, rows: done.rows, readSinceMs });
      progress.finishPage(page, { ...done, bytes: Math.round(done.rows * rowBytes), skipped: [] });
    },
    onRefused: (page, reason) => refused.push({ page, reason }),
  });
  const work = (page: Page): Promise<void> => copier.copyPage(page);
  await inParallel(pages, options.parallelWorkers, work, { throttler, stop });
  const [first] = refused;
  if (first === undefined) return copied;
  emit({
    kind: "notice",
    message: `This program copies ${refused.length === 1 ? "a page" : `${refused.length} pages`} that the server cannot: ${first.reason}`,
  });
  const scope = { ...phase.scope, pageRows: options.streamBlockSizeRows };
  const ranges = refused.map(({ page }) => page.range);
  const byClient = await withCopySession(context, prepared, await prepared.monthSetup(), (session) =>
    session.copy({ name, ledger }, planPages(scope, ranges)),
  );
  return [...copied, ...byClient];
}

/** What an observation takes, where the server does not say. */
const USUAL_ROW_BYTES = 1_000;
/** A statement cannot be slowed down: at a rate it is what may be copied in this time. */
const STATEMENT_SECONDS = 10;
/** Smaller statements would cost the server more than they spare it. */
const MIN_STATEMENT_ROWS = 1_000;

function rowsOfStatement(rate: Rate | null, rowBytes: number): number {
  if (rate === null) return Number.POSITIVE_INFINITY;
  const rowsPerSecond = rate.unit === "rows" ? rate.perSecond : rate.perSecond / rowBytes;
  return Math.max(MIN_STATEMENT_ROWS, Math.round(rowsPerSecond * STATEMENT_SECONDS));
}

/** Of this machine and target: what a killed run has left running is found by it. */
function queryIdPrefix({ connection, tables, partition }: BackfillOptions): string {
  const scope = [hostname(), connection.url, connection.database, tables.target, partition];
  return `clickhouse-backfill-engine-${createHash("sha256").update(JSON.stringify(scope)).digest("hex").slice(0, 12)}-`;
}

async function statementSettingsOf(
  { options, retry }: RunContext,
  { server, userSettings, consistentReads }: PreparedRun,
): Promise<QuerySettings> {
  const bytes = options.serverMemoryBytes ?? (await quarterOfMemory(server, retry));
  return preferredSettings(userSettings, {
    ...ENRICHMENT_SETTINGS,
    ...consistentReads,
    ...preferredInsertSettings(options.insertRows),
    ...(bytes === null ? {} : { max_memory_usage: bytes }),
  });
}

/** A quarter of what the server has, so that other users live; null where it does not say. */
async function quarterOfMemory(server: Server, retry: RetryPolicy): Promise<number | null> {
  const sql = `SELECT toUInt64(min(value)) FROM system.asynchronous_metrics
    WHERE metric IN ('OSMemoryTotal', 'CGroupMemoryTotal') AND value > 0`;
  const [row] = await server
    .query("Reading the memory of the server", { sql }, retry)
    .catch((error: unknown) => {
      if (isAccessDenied(error) || isUnknownTable(error)) return [];
      throw error;
    });
  const bytes = Number(row?.[0] ?? 0);
  return bytes > 0 ? Math.floor(bytes / 4) : null;
}
