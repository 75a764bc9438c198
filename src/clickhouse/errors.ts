import { NativeFormatError } from "./native/parser.ts";

/** The server answered with an error. `code` is ClickHouse's error code, 0 when the answer named none (a proxy's, say). */
export class ServerError extends Error {
  override readonly name: string = "ServerError";
  readonly code: number;
  readonly httpStatus: number;

  constructor(code: number, httpStatus: number, message: string) {
    super(message);
    this.code = code;
    this.httpStatus = httpStatus;
  }
}

/** No whole answer came back: no connection, a timeout, a broken or truncated answer. */
export class TransportError extends Error {
  override readonly name: string = "TransportError";
}

/** Error codes of ClickHouse (`src/Common/ErrorCodes.cpp`) that this program names elsewhere. */
export const ERROR_CODE = {
  unknownTable: 60,
  unknownDatabase: 81,
  memoryLimitExceeded: 241,
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
  [369, "ALL_REPLICAS_ARE_STALE"],
  [394, "QUERY_WAS_CANCELLED: by an operator or a shutdown"],
  [410, "EXTERNAL_SERVER_IS_NOT_RESPONDING"],
  [425, "SYSTEM_ERROR: the operating system refused a resource"],
  [439, "CANNOT_SCHEDULE_TASK: no free thread"],
  [473, "DEADLOCK_AVOIDED"],
  [499, "S3_ERROR: the object storage"],
  [519, "NO_REMOTE_SHARD_AVAILABLE"],
  [529, "NOT_A_LEADER"],
  [733, "TABLE_IS_BEING_RESTARTED"],
  [999, "KEEPER_EXCEPTION"],
  [1000, "POCO_EXCEPTION: the network layer"],
  [1002, "UNKNOWN_EXCEPTION"],
]);

/** HTTP statuses that may pass by themselves: a proxy's, or a server's that is too busy, whatever its code. */
const TRANSIENT_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Whether the same request may succeed when it is made again. */
export function isTransient(error: unknown): boolean {
  if (error instanceof TransportError || error instanceof NativeFormatError) return true;
  if (!(error instanceof ServerError)) return false;
  return TRANSIENT_CODES.has(error.code) || TRANSIENT_STATUSES.has(error.httpStatus);
}
