/** A way to have the server do the join. */
export interface JoinVariant {
  readonly statement: "lean" | "reference";
  readonly algorithm: string;
  readonly insertThreads: number;
}

/** Those that came near the fastest; partial_merge took three times as long. */
export const JOIN_ALGORITHMS = ["default", "hash", "parallel_hash", "grace_hash", "full_sorting_merge"];

/** `lean parallel_hash, 2 insert threads` */
export function describeVariant({ statement, algorithm, insertThreads }: JoinVariant): string {
  return `${statement} statement, ${algorithm}, ${insertThreads} insert thread${insertThreads === 1 ? "" : "s"}`;
}
