import type { Condition } from "../clickhouse/key-range-sql.ts";
import type { RetryPolicy } from "../clickhouse/retry.ts";
import type { QuerySettings, Server } from "../clickhouse/server.ts";
import type { EnrichmentScope } from "../mapping/enrichment-sql.ts";
import type { ResolvedMapping, SelectItem } from "../mapping/resolve-mapping.ts";
import type { ExperimentTables } from "../plan/experiment-pages.ts";
import type { PlanScope } from "../plan/pages.ts";
import type { ComparedColumn } from "./compared-rows.ts";

/** A phase of the month whose rows the target must hold. */
export interface VerifiedPhase {
  readonly mapping: ResolvedMapping;
  readonly enrichment: EnrichmentScope;
  readonly plan: PlanScope;
}

/** The traces that dataset runs name. */
export interface VerifiedExperiments {
  readonly tables: ExperimentTables;
  readonly itemColumns: readonly SelectItem[];
  /** The observations have a column of their parents. */
  readonly hasParents: boolean;
  /** The columns that come from the items, with the target's types. */
  readonly columns: readonly ComparedColumn[];
}

/** What is compared, and how. */
export interface VerifyScope {
  readonly server: Server;
  readonly retry: RetryPolicy;
  readonly partition: string;
  readonly phases: readonly VerifiedPhase[];
  readonly experiments: VerifiedExperiments | null;
  /** The quoted table. */
  readonly target: string;
  /** Selects the month's rows of the target `t`. */
  readonly inMonth: Condition;
  /** All columns that a run fills, those of experiments aside. */
  readonly columns: readonly ComparedColumn[];
  /** Of the queries that compare; where the target has a JSON column, text becomes JSON by them as in an INSERT. */
  readonly settings: QuerySettings;
  /** Rows that a query reads, about. */
  readonly queryRows: number;
  readonly parallelQueries: number;
  readonly onRows: (rows: number) => void;
}
