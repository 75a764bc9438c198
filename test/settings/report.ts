import { acceptedReason, isClear } from "./accepted.ts";
import type { Outcome, Verdict } from "./judge.ts";

const OUTCOMES: readonly Outcome[] = ["exact", "refused", "silent", "hung"];

/** Whether an outcome is right: exact, or a clear refusal that is on the list. */
export function isGood(verdict: Verdict): boolean {
  return verdict.outcome === "exact" || (acceptedReason(verdict) !== null && isClear(verdict));
}

/** Counts by outcome, the refusals by their reason, and each wrong outcome. */
export function renderVerdicts(verdicts: readonly Verdict[]): string[] {
  const counts = OUTCOMES.map((outcome) => {
    const count = verdicts.filter((verdict) => verdict.outcome === outcome).length;
    return `${outcome.padEnd(8)} ${String(count).padStart(6)}`;
  });
  const accepted = verdicts.filter((verdict) => verdict.outcome !== "exact" && isGood(verdict));
  const reasons = [...Map.groupBy(accepted, (verdict) => acceptedReason(verdict))].map(
    ([reason, members]) =>
      `refused: ${reason}\n${members.map(({ trial }) => `    ${trial.name}`).join("\n")}`,
  );
  const bad = verdicts.filter((verdict) => !isGood(verdict)).map(describeVerdict);
  return [...counts, ...reasons, ...bad];
}

/** One outcome as text. */
export function describeVerdict(verdict: Verdict): string {
  const { trial, outcome, message } = verdict;
  const kind = outcome === "refused" && !isClear(verdict) ? "refused, unclear" : outcome;
  return `${kind}: ${trial.name}\n    ${message.replaceAll("\n", "\n    ")}`;
}
