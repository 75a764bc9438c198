import type { Throttler } from "./throttler.ts";

/** What lanes do. Neither function may reject. */
export interface LaneWork {
  /** Does the next piece of work in a lane. Resolves to false when nothing is left for any of them. */
  next(lane: number): Promise<boolean>;
  /** Ends a lane, once nothing is left. */
  end(lane: number): Promise<void>;
}

/** How many lanes there are. */
export interface LaneCount {
  /** Where the throttler sets no number. */
  readonly usual: number;
  /** Whatever the throttler sets. */
  readonly most: number;
}

/**
 * Works in several lanes at a time, numbered from 0, as many as the throttler allows. When that changes, lanes are added, and those
 * beyond the number wait. No work begins while the run is paused. Resolves once all lanes have ended.
 */
export async function inLanes(
  throttler: Throttler,
  { usual, most }: LaneCount,
  stop: AbortSignal,
  work: LaneWork,
): Promise<void> {
  const allowed = (): number => Math.min(throttler.pipelines(usual), most);
  const lanes: Promise<void>[] = [];
  let isOver = false;
  let changed = Promise.withResolvers<void>();
  const wake = (): void => {
    changed.resolve();
    changed = Promise.withResolvers<void>();
  };
  const run = async (lane: number): Promise<void> => {
    while (!isOver) {
      // After a stop the work itself ends the lanes.
      if (stop.aborted || (lane < allowed() && !throttler.isPaused)) {
        if (!(await work.next(lane))) isOver = true;
      } else await changed.promise;
    }
    wake();
    await work.end(lane);
  };
  const fill = (): void => {
    while (lanes.length < allowed() && !isOver) lanes.push(run(lanes.length));
  };
  const unsubscribe = throttler.onChange(() => {
    fill();
    wake();
  });
  stop.addEventListener("abort", wake, { once: true });
  try {
    fill();
    // The list grows with lanes that are added.
    for (let lane = 0; lane < lanes.length; lane++) await lanes[lane];
  } finally {
    unsubscribe();
    stop.removeEventListener("abort", wake);
  }
}
