import { OperationError } from "../clickhouse/retry.ts";
import { isServerFailure } from "../clickhouse/server-errors.ts";
import { RunError } from "../errors.ts";
import { MappingError } from "../mapping/resolve-mapping.ts";
import { TraceStoreFullError } from "../traces/store-full-error.ts";

/**
 * The error as a RunError where it is one that runs meet, with its own message. Any other is a bug, and must not be dressed up as a
 * failure of the run: it is returned as it is.
 */
export function asRunError(error: unknown): unknown {
  const isExpected =
    error instanceof OperationError ||
    error instanceof MappingError ||
    error instanceof TraceStoreFullError ||
    isServerFailure(error);
  return isExpected ? new RunError(error.message, { cause: error }) : error;
}
