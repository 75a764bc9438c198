import { NativeFormatError } from "../clickhouse/native/format-error.ts";
import { OperationError } from "../clickhouse/retry.ts";
import { ForeignResponseError, ServerError, TransportError } from "../clickhouse/server-errors.ts";
import { CheckpointError, RunError } from "../errors.ts";
import { MappingError } from "../mapping/resolve-mapping.ts";
import { TraceStoreFullError } from "../traces/store-full-error.ts";

/** An error on its way from one thread to another: structured clones lose classes, fields and causes. */
export interface ThreadError {
  /** Of the class. */
  readonly className: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** The fields of the class that are plain values: codes, names. */
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
  readonly cause: ThreadError | null;
}

/** Deeper chains of causes say nothing new. */
const MAX_CAUSES = 8;

/** The classes that keep their identity, by name; any other becomes an Error under its own name. */
const CLASSES: ReadonlyMap<string, { readonly prototype: Error }> = new Map(
  Object.entries({
    ServerError,
    ForeignResponseError,
    TransportError,
    NativeFormatError,
    OperationError,
    RunError,
    CheckpointError,
    MappingError,
    TraceStoreFullError,
    TypeError,
    RangeError,
    SyntaxError,
    Error,
  }),
);

/** An error, or whatever was thrown, in a form that another thread can receive. */
export function toThreadError(error: unknown, causes: number = MAX_CAUSES): ThreadError {
  if (!(error instanceof Error)) {
    return { className: "Error", message: String(error), stack: undefined, fields: {}, cause: null };
  }
  const fields = Object.entries(error).filter((field): field is [string, ThreadError["fields"][string]] =>
    isPlain(field[1]),
  );
  const hasCause = error.cause !== undefined && error.cause !== null && causes > 0;
  return {
    className: error.name,
    message: error.message,
    stack: error.stack,
    fields: Object.fromEntries(fields),
    cause: hasCause ? toThreadError(error.cause, causes - 1) : null,
  };
}

/** The error as it was: with its class, message, fields, stack and causes. */
export function fromThreadError({ className, message, stack, fields, cause }: ThreadError): Error {
  const { prototype } = CLASSES.get(className) ?? Error;
  const error: Error = Object.create(prototype);
  const hidden = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true });
  Object.defineProperty(error, "message", hidden(message));
  Object.defineProperty(error, "stack", hidden(stack));
  if (cause !== null) Object.defineProperty(error, "cause", hidden(fromThreadError(cause)));
  if (!CLASSES.has(className)) Object.defineProperty(error, "name", hidden(className));
  return Object.assign(error, fields);
}

function isPlain(value: unknown): boolean {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
