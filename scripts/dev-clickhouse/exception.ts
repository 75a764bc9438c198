/** An exception of the engine, or one raised here in its place, with ClickHouse's numeric code. */
export class EngineException extends Error {
  override readonly name = "EngineException";
  readonly code: number;
  /** ClickHouse's name of the code, such as UNKNOWN_TABLE. */
  readonly codeName: string;

  /** @param detail the message without code and name */
  constructor(code: number, codeName: string, detail: string, options?: ErrorOptions) {
    super(`Code: ${code}. DB::Exception: ${detail} (${codeName})`, options);
    this.code = code;
    this.codeName = codeName;
  }

  /** Reads the engine's text. Text in another form becomes code 1002 (UNKNOWN_EXCEPTION). */
  static from(error: unknown): EngineException {
    if (error instanceof EngineException) return error;
    const text = error instanceof Error ? error.message : String(error);
    let match = EXCEPTION.exec(text);
    if (match === null) return new EngineException(1002, "UNKNOWN_EXCEPTION", text, { cause: error });
    // Exceptions that crossed a thread come wrapped in a second one, with the inner one's version in between.
    for (;;) {
      const inner = EXCEPTION.exec(match[2]?.replace(/ \(version [^()]*\)\.$/, "") ?? "");
      if (inner === null) break;
      match = inner;
    }
    const [, code = "1002", detail = text, codeName = "UNKNOWN_EXCEPTION"] = match;
    return new EngineException(Number(code), codeName, detail, { cause: error });
  }
}

const EXCEPTION = /^Code: (\d+)\. DB::Exception: (.*) \(([A-Z][A-Z0-9_]*)\)\s*$/s;

/**
 * The HTTP status of the server's response for an exception code
 * (ClickHouse, src/Server/HTTP/exceptionCodeToHTTPStatus.cpp).
 */
export function httpStatusOf(code: number): number {
  return STATUS_OF_CODE.get(code) ?? 500;
}

const CODES_OF_STATUS: ReadonlyArray<readonly [status: number, codes: readonly number[]]> = [
  [
    400,
    [
      6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675,
      676,
    ],
  ],
  [401, [194]],
  [403, [192, 193, 497, 512, 516]],
  [404, [46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511]],
  [408, [159]],
  [411, [381]],
  [413, [229]],
  [415, [779]],
  [501, [48]],
  [503, [76, 209, 439]],
];

const STATUS_OF_CODE = new Map(
  CODES_OF_STATUS.flatMap(([status, codes]) => codes.map((code) => [code, status] as const)),
);
