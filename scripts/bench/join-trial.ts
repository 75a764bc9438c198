import { runProcess } from "./child.ts";
import { joinCommand } from "./contenders.ts";
import { TABLES } from "./data.ts";
import type { Dataset } from "./dataset.ts";
import { describeVariant, JOIN_ALGORITHMS, type JoinVariant } from "./join-variant.ts";

/** A variant that was tried; `wallMs` is null when the server refuses it or runs out of memory. */
export interface Trial {
  readonly variant: JoinVariant;
  readonly wallMs: number | null;
}

/**
 * Looks for the fastest way to have the server do the join: first among the algorithms, then among the statements and
 * numbers of insert threads with the best of them.
 */
export async function findBestJoin(
  { server: { url } }: Dataset,
  tell: (line: string) => void,
): Promise<{ best: JoinVariant; trials: Trial[] }> {
  const trials: Trial[] = [];
  const attempt = async (variant: JoinVariant): Promise<void> => {
    let wallMs: number | null = null;
    let reason = "";
    try {
      ({ wallMs } = await runProcess(joinCommand(url, TABLES.eventsNull, variant)));
    } catch (error) {
      const refusal = /Code: \d+\. DB::Exception[^\n]*/.exec(String(error))?.[0];
      if (refusal === undefined) throw error;
      reason = refusal;
    }
    trials.push({ variant, wallMs });
    tell(`${describeVariant(variant)}: ${wallMs === null ? reason : `${(wallMs / 1000).toFixed(2)} s`}`);
  };
  const best = (): JoinVariant => {
    const [fastest] = trials
      .filter(({ wallMs }) => wallMs !== null)
      .toSorted((a, b) => Number(a.wallMs) - Number(b.wallMs));
    if (fastest === undefined) throw new Error("The server refuses every way to join");
    return fastest.variant;
  };
  for (const algorithm of JOIN_ALGORITHMS) await attempt({ statement: "lean", algorithm, insertThreads: 1 });
  await attempt({ ...best(), insertThreads: 2 });
  await attempt({ ...best(), statement: "reference" });
  return { best: best(), trials };
}
