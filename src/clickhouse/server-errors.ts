import { NativeFormatError } from "./native/format-error.ts";

/** The server responded with an error. `code` is ClickHouse's error code, 0 when the response named none. */
export class ServerError extends Error {
  override readonly name: string = "ServerError";
  readonly code: number;
  readonly httpStatus: number;
  /** The server's own words; the message adds the query. */
  readonly words: string;
  /** The query that failed, as the server's logs name it; null where there is none. */
  readonly queryId: string | null;

  constructor(code: number, httpStatus: number, words: string, queryId: string | null = null) {
    super(queryId === null ? words : `${words} [query_id ${queryId}]`);
    this.words = words;
    this.code = code;
    this.httpStatus = httpStatus;
    this.queryId = queryId;
  }
}

/** Something that is not ClickHouse responded: a proxy, a load balancer, a login page. */
export class ForeignResponseError extends ServerError {
  override readonly name: string = "ForeignResponseError";

  constructor(httpStatus: number, message: string) {
    super(0, httpStatus, message);
  }
}

/** No whole response came back: no connection, a timeout, a broken or truncated response. */
export class TransportError extends Error {
  override readonly name: string = "TransportError";
}

/** Error codes of ClickHouse (`src/Common/ErrorCodes.cpp`) that this program names elsewhere. */
export const ERROR_CODE = {
  unknownIdentifier: 47,
  unknownTable: 60,
  unknownDatabase: 81,
  unknownSetting: 115,
  readonly: 164,
  memoryLimitExceeded: 241,
  tooManyParts: 252,
  settingConstraintViolation: 452,
  accessDenied: 497,
  authenticationFailed: 516,
} as const;

/**
 * Codes of errors that may pass by themselves, with the reason why each is worth another attempt.
 * Everything else is final: authentication, unknown tables and columns, types, syntax, limits that the same query meets again.
 */
const TRANSIENT_CODES: ReadonlyMap<number, string> = new Map([
  [3, "UNEXPECTED_END_OF_FILE: the request was cut on its way"],
  [32, "ATTEMPT_TO_READ_AFTER_EOF: the request was cut on its way"],
  [33, "CANNOT_READ_ALL_DATA: the request was cut on its way"],
  [95, "CANNOT_READ_FROM_SOCKET"],
  [96, "CANNOT_WRITE_TO_SOCKET"],
  [159, "TIMEOUT_EXCEEDED: the server was too busy"],
  [160, "TOO_SLOW: the server was too busy"],
  [173, "CANNOT_ALLOCATE_MEMORY: the machine's, not the query's"],
  [198, "DNS_ERROR: between the nodes of a cluster"],
  [201, "QUOTA_EXCEEDED: quotas renew"],
  [202, "TOO_MANY_SIMULTANEOUS_QUERIES"],
  [203, "NO_FREE_CONNECTION"],
  [209, "SOCKET_TIMEOUT"],
  [210, "NETWORK_ERROR"],
  [225, "NO_ZOOKEEPER: a keeper election"],
  [236, "ABORTED: the server shuts down"],
  [241, "MEMORY_LIMIT_EXCEEDED: other queries use the memory"],
  [242, "TABLE_IS_READ_ONLY: a replica lost its keeper session"],
  [243, "NOT_ENOUGH_SPACE: merges free space"],
  [244, "UNEXPECTED_ZOOKEEPER_ERROR"],
  [252, "TOO_MANY_PARTS: merges catch up"],
  [254, "NO_ACTIVE_REPLICAS"],
  [265, "NO_AVAILABLE_REPLICA"],
  [279, "ALL_CONNECTION_TRIES_FAILED"],
  [285, "TOO_FEW_LIVE_REPLICAS"],
  [286, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE"],
  [289, "REPLICA_IS_NOT_IN_QUORUM"],
  [319, "UNKNOWN_STATUS_OF_INSERT: inserted or not, repeating it is safe"],
  [354, "ZLIB_INFLATE_FAILED: the request was damaged on its way"],
  [369, "ALL_REPLICAS_ARE_STALE"],
  [394, "QUERY_WAS_CANCELLED: by an operator or a shutdown"],
  [410, "EXTERNAL_SERVER_IS_NOT_RESPONDING"],
  [425, "SYSTEM_ERROR: the operating system refused a resource"],
  [439, "CANNOT_SCHEDULE_TASK: no free thread"],
  [473, "DEADLOCK_AVOIDED"],
  [499, "S3_ERROR: the object storage"],
  [519, "NO_REMOTE_SHARD_AVAILABLE"],
  [529, "NOT_A_LEADER"],
  [561, "ZSTD_DECODER_FAILED: the request was damaged on its way"],
  [733, "TABLE_IS_BEING_RESTARTED"],
  [745, "SERVER_OVERLOADED: other queries keep its processors busy"],
  [999, "KEEPER_EXCEPTION"],
  [1000, "POCO_EXCEPTION: the network layer"],
  [1002, "UNKNOWN_EXCEPTION"],
]);

/** HTTP statuses that may pass by themselves: a proxy's, or a server's that is too busy, whatever its code. */
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Whether an error is the server's or the network's, and no bug of this program. */
export function isServerFailure(error: unknown): error is Error {
  return (
    error instanceof ServerError || error instanceof TransportError || error instanceof NativeFormatError
  );
}

/** Whether the same request may succeed when it is sent again. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TransportError || error instanceof NativeFormatError) return true;
  if (!(error instanceof ServerError)) return false;
  // A page of a proxy that is being restarted, say; a redirect stays one.
  if (error instanceof ForeignResponseError && error.httpStatus < 300) return true;
  return TRANSIENT_CODES.has(error.code) || TRANSIENT_STATUSES.has(error.httpStatus);
}

/** Codes with which a server refuses an insert that would pass if it were smaller. */
const SIZE_CODES: ReadonlyMap<number, string> = new Map([
  [158, "TOO_MANY_ROWS: a limit of the profile, which views that read meet too"],
  [159, "TIMEOUT_EXCEEDED: a smaller insert takes less time"],
  [160, "TOO_SLOW: as estimated from the size"],
  [173, "CANNOT_ALLOCATE_MEMORY"],
  [209, "SOCKET_TIMEOUT: the data took too long"],
  [241, "MEMORY_LIMIT_EXCEEDED"],
  [307, "TOO_MANY_BYTES"],
  [396, "TOO_MANY_ROWS_OR_BYTES"],
]);

/** What a proxy says of a request that is too large or takes too long; the server itself names a code. */
const SIZE_STATUSES: ReadonlySet<number> = new Set([408, 413, 504]);

/**
 * Codes that are about a value of a row and not about the statement: without that row the insert would pass. Left out are
 * codes of the whole statement, which every row would meet: unknown tables, columns and settings (16, 47, 60, 81, 115),
 * types (43, 44, 53), syntax (62), rights (164, 192, 497, 516), a full disk (243), and BAD_ARGUMENTS (36), which is
 * mostly one of those.
 */
const DATA_CODES: ReadonlyMap<number, string> = new Map([
  [6, "CANNOT_PARSE_TEXT"],
  [25, "CANNOT_PARSE_ESCAPE_SEQUENCE"],
  [26, "CANNOT_PARSE_QUOTED_STRING"],
  [27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED"],
  [38, "CANNOT_PARSE_DATE"],
  [41, "CANNOT_PARSE_DATETIME"],
  [69, "ARGUMENT_OUT_OF_BOUND"],
  [70, "CANNOT_CONVERT_TYPE: of a computed column or a view, by the value"],
  [72, "CANNOT_PARSE_NUMBER"],
  [117, "INCORRECT_DATA: what a JSON column refuses"],
  [128, "TOO_LARGE_ARRAY_SIZE"],
  [130, "CANNOT_READ_ARRAY_FROM_TEXT"],
  [131, "TOO_LARGE_STRING_SIZE"],
  [135, "ZERO_ARRAY_OR_TUPLE_INDEX"],
  [153, "ILLEGAL_DIVISION"],
  [190, "SIZES_OF_ARRAYS_DONT_MATCH"],
  [306, "TOO_DEEP_RECURSION: nested JSON"],
  [321, "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE"],
  [349, "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN"],
  [376, "CANNOT_PARSE_UUID"],
  [395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"],
  [407, "DECIMAL_OVERFLOW"],
  [441, "CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING"],
  [467, "CANNOT_PARSE_BOOL"],
  [469, "VIOLATED_CONSTRAINT"],
  [632, "UNEXPECTED_DATA_AFTER_PARSED_VALUE"],
  [675, "CANNOT_PARSE_IPV4"],
  [676, "CANNOT_PARSE_IPV6"],
  [691, "UNKNOWN_ELEMENT_OF_ENUM"],
]);

/** Why parts of a refused insert may pass: because they are smaller, or because they lack the row that is refused. */
export type SplitReason = "size" | "data";

/** A refused insert that may pass in parts. */
export interface Refusal {
  readonly reason: SplitReason;
  readonly error: ServerError;
}

/** The refusal that an error of an insert is, if sending the rows in parts may help; else null. */
export function refusalOf(error: unknown): Refusal | null {
  if (!(error instanceof ServerError)) return null;
  const isTooLarge = SIZE_CODES.has(error.code) || (error.code === 0 && SIZE_STATUSES.has(error.httpStatus));
  if (isTooLarge) return { reason: "size", error };
  return DATA_CODES.has(error.code) ? { reason: "data", error } : null;
}

/** Whether the table has to merge parts before it takes another insert. */
export function awaitsMerges(error: unknown): error is ServerError {
  return error instanceof ServerError && error.code === ERROR_CODE.tooManyParts;
}
