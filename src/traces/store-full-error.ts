/** The store cannot take all traces of the partition. */
export class TraceStoreFullError extends Error {
  override readonly name: string = "TraceStoreFullError";
}
