/** What a run copies, in this order: a row for each trace, then one for each observation, both of the month. */
export const MONTHLY_PHASES = ["roots", "observations"] as const;

/** All phases: the traces that dataset runs name come last, of all months at once. */
export const PHASES = [...MONTHLY_PHASES, "experiments"] as const;

export type MonthlyPhase = (typeof MONTHLY_PHASES)[number];
export type PhaseName = (typeof PHASES)[number];
