import { readVarint } from "../../src/bytes/varint.ts";
import type { Random } from "../support/data/random.ts";
import {
  exceptionText,
  type Fault,
  gatewayError,
  NO_ROWS,
  type RequestKind,
  type ResponseFraming,
  serverError,
} from "../support/fault-proxy-faults.ts";
import { type Head, setHeader } from "../support/fault-proxy-wire.ts";

/** A fault under the name that the totals have for it. */
export interface NamedFault {
  readonly name: string;
  readonly fault: Fault;
}

type Draw = (random: Random) => Fault;
type Choice = readonly [name: string, draw: Draw];

/** Transient errors of the server, for any request. */
const PASSING_CODES: readonly (readonly [code: number, name: string])[] = [
  [202, "TOO_MANY_SIMULTANEOUS_QUERIES"],
  [210, "NETWORK_ERROR"],
  [236, "ABORTED"],
  [242, "TABLE_IS_READ_ONLY"],
  [285, "TOO_FEW_LIVE_REPLICAS"],
  [319, "UNKNOWN_STATUS_OF_INSERT"],
  [394, "QUERY_WAS_CANCELLED"],
  [425, "SYSTEM_ERROR"],
  [999, "KEEPER_EXCEPTION"],
  [1002, "UNKNOWN_EXCEPTION"],
];

/** Transient for a query; an insert is sent in halves. */
const SIZE_CODES: readonly (readonly [code: number, name: string])[] = [
  [159, "TIMEOUT_EXCEEDED"],
  [160, "TOO_SLOW"],
  [209, "SOCKET_TIMEOUT"],
  [241, "MEMORY_LIMIT_EXCEEDED"],
];

const FRAMINGS: readonly ResponseFraming[] = ["chunked", "length", "close"];
const MAX_ANSWER_BYTES = 60_000;
const WHOLE = Number.MAX_SAFE_INTEGER;

const ANY: readonly Choice[] = [
  ["delay", (random) => ({ kind: "delay", ms: 5 + random.below(80) })],
  ["nobody listens", (random) => ({ kind: "refuse", forMs: 20 + random.below(150) })],
  ["reset before the request", () => ({ kind: "reset", at: "head" })],
  ["reset instead of a response", () => ({ kind: "reset", at: "response" })],
  ["503, 502 or 429 of a gateway", (random) => gatewayError(random.pick([502, 503, 429]))],
  ["error of the server that passes", (random) => passing(random, PASSING_CODES)],
];

const RESPONSES: readonly Choice[] = [
  [
    "a response of another server",
    () => ({ kind: "response", status: 200, body: "<html>Sign in</html>", headers: {} }),
  ],
  [
    "cut response",
    (random) => ({
      kind: "cutResponse",
      afterBytes: random.chance(0.2) ? WHOLE : random.below(MAX_ANSWER_BYTES),
      framing: random.pick(FRAMINGS),
      isMidChunk: random.chance(0.3),
    }),
  ],
  [
    "exception within the response",
    (random) => ({
      kind: "exception",
      afterBytes: random.chance(0.2) ? WHOLE : random.below(MAX_ANSWER_BYTES),
      style: random.pick(["tagged", "plain"]),
      text: exceptionText(241, "Memory limit (total) exceeded", "MEMORY_LIMIT_EXCEEDED"),
    }),
  ],
  ["241 or a timeout of a query", (random) => passing(random, SIZE_CODES)],
];

const INSERTS: readonly Choice[] = [
  ["241 or a timeout of an insert: halves", (random) => ofSeveralRows(passing(random, SIZE_CODES))],
  ["413 or 504 of a gateway: halves", (random) => ofSeveralRows(gatewayError(random.pick([408, 413, 504])))],
  ["252: wait for merges", () => serverError(500, 252, "Too many parts (3001)", "TOO_MANY_PARTS")],
  [
    "a value refused that is accepted later: halves",
    () => ofSeveralRows(serverError(500, 469, "Constraint is violated", "VIOLATED_CONSTRAINT")),
  ],
  ["reset within the data", (random) => ({ kind: "reset", at: { bodyBytes: random.below(20_000) } })],
  ["lost acknowledgement: reset", () => ({ kind: "reset", at: "response" })],
  ["lost acknowledgement: cut", () => ({ kind: "cutResponse", afterBytes: 0, framing: "chunked" })],
  ["lost acknowledgement: 319 though stored", () => storedAndRefused(319, "UNKNOWN_STATUS_OF_INSERT")],
  // Servers call an insert without any data a success.
  ["fewer rows stored: no data", () => ({ kind: "shortenBody", toBytes: 0 })],
  ["data ends early", (random) => ({ kind: "shortenBody", toBytes: 1 + random.below(400) })],
  ["fewer rows stored: as acknowledged", () => summary('{"written_rows":"0"}')],
];

/** Errors that a retry cannot fix: the run ends with exit code 1. */
const FINAL: readonly Choice[] = [
  ["rights are missing (final)", () => serverError(403, 497, "Not enough privileges", "ACCESS_DENIED")],
  ["syntax error (final)", () => serverError(400, 62, "Syntax error", "SYNTAX_ERROR")],
  ["403 of a gateway (final)", () => gatewayError(403)],
  // After it, nothing shows whether an insert was stored.
  [
    "a response without ClickHouse's headers (final for an insert)",
    () => ({ kind: "response", status: 200, body: "" }),
  ],
];

const BY_KIND: Readonly<Record<RequestKind, readonly Choice[]>> = {
  page: [...ANY, ...RESPONSES, ...RESPONSES],
  traces: [...ANY, ...RESPONSES],
  insert: [...ANY, ...INSERTS, ...INSERTS],
  other: [...ANY, ...RESPONSES],
};

/** A fault for a request of that kind. `mayEndRun`: also one that a retry cannot fix. */
export function drawFault(random: Random, kind: RequestKind, mayEndRun: boolean): NamedFault {
  const choices = mayEndRun && random.chance(0.05) ? FINAL : BY_KIND[kind];
  const [name, draw] = random.pick(choices);
  return { name, fault: draw(random) };
}

/** A page without its rows. */
export const EMPTY_PAGE: NamedFault = { name: "a page without its rows", fault: NO_ROWS };

function passing(random: Random, codes: readonly (readonly [number, string])[]): Fault {
  const [code, name] = random.pick(codes);
  return serverError(random.pick([500, 503]), code, "Chaos", name);
}

/** A row that is refused by itself counts as one that the server rejects: transient errors must not hit it. */
function ofSeveralRows(fault: Fault): Fault {
  if (fault.kind !== "response") throw new TypeError(`A fault of kind ${fault.kind} has no response`);
  return { ...fault, isFor: (body) => rowsOfBlock(body) > 1 };
}

function summary(json: string): Fault {
  return { kind: "edit", head: (head) => setHeader(head, "X-ClickHouse-Summary", json) };
}

function storedAndRefused(code: number, name: string): Fault {
  const head = (response: Head): void => {
    response.startLine = "HTTP/1.1 500 Fault";
    setHeader(response, "X-ClickHouse-Exception-Code", String(code));
    setHeader(response, "Content-Encoding", null);
  };
  return { kind: "edit", head, body: () => Buffer.from(`${exceptionText(code, "Chaos", name)}\n`) };
}

const ZSTD_MAGIC = 0x28b52ffd;
const GZIP_MAGIC = 0x1f8b;

/** The number of rows in the head of an insert's Native block; the block may be compressed. */
function rowsOfBlock(body: Buffer): number {
  if (body.length < 4) return 0;
  const isZstd = body.readUInt32BE(0) === ZSTD_MAGIC;
  const isGzip = body.readUInt16BE(0) === GZIP_MAGIC;
  const block = isZstd ? Bun.zstdDecompressSync(body) : isGzip ? Bun.gunzipSync(Uint8Array.from(body)) : body;
  const cursor = { position: 0 };
  readVarint(block, cursor);
  return readVarint(block, cursor);
}
