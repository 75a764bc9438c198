import type { ResolvedMapping } from "../mapping/resolve-mapping.ts";
import type { PlanScope } from "../plan/pages.ts";
import type { PhaseName } from "../plan/phases.ts";
import type { PageLedger } from "./page-ledger.ts";

/** A phase of a run: which rows it copies, and what of them is done. */
export interface PhaseRun {
  readonly name: PhaseName;
  readonly scope: PlanScope;
  readonly mapping: ResolvedMapping;
  readonly ledger: PageLedger;
}
