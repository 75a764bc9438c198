/** A column as `DESCRIBE TABLE` returns it. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
  /** The server computes it (MATERIALIZED, ALIAS): it cannot be inserted. */
  readonly isComputed: boolean;
}

/** A table and its columns. */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly TableColumn[];
}
