/** The spans of some traces: the parent of each, by number; -1: none of them. Several rows of one span are one span. */
export interface SpanTree {
  readonly parents: Int32Array;
  /** The item that names each span, by number, the newest of several; `NO_ITEM`: none does. */
  readonly items: Int32Array;
}

/** Greater than the number of any item: items are numbered from the newest on. */
export const NO_ITEM = 2 ** 31 - 1;

const STATE = { untouched: 0, onPath: 1, settled: 2 } as const;

/**
 * The newest item that reaches each span: one that names the span itself or any above it. Spans whose parents form a circle are all
 * above each other. Takes time in proportion to the number of spans, however deep they are.
 */
export function newestItems({ parents, items }: SpanTree): Int32Array {
  const newest = items.slice();
  const state = new Uint8Array(parents.length);
  const path: number[] = [];
  for (let start = 0; start < parents.length; start++) {
    let span = start;
    path.length = 0;
    while (span >= 0 && state[span] === STATE.untouched) {
      state[span] = STATE.onPath;
      path.push(span);
      span = parents[span] as number;
    }
    if (span >= 0 && state[span] === STATE.onPath) settleCircle(path, span, newest, state);
    for (let above = span, next = path.pop(); next !== undefined; above = next, next = path.pop()) {
      if (state[next] === STATE.settled) continue;
      if (above >= 0) newest[next] = Math.min(newest[next] as number, newest[above] as number);
      state[next] = STATE.settled;
    }
  }
  return newest;
}

/** Gives all spans of the circle that the path ends in, from `first` on, the newest of their items. */
function settleCircle(path: readonly number[], first: number, newest: Int32Array, state: Uint8Array): void {
  const circle = path.slice(path.indexOf(first));
  let item = NO_ITEM;
  for (const span of circle) item = Math.min(item, newest[span] as number);
  for (const span of circle) {
    newest[span] = item;
    state[span] = STATE.settled;
  }
}
