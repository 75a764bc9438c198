import { TransportError } from "../clickhouse/server-errors.ts";

/** What is compared of a row: digests as text in hexadecimal. */
export interface RowDigest {
  readonly key: string;
  /** Of all compared columns. */
  readonly all: string;
  /** Of all but a JSON column; the same as `all` where there is none. */
  readonly withoutJson: string;
  /** Of the time of the row's version, in microseconds since 1970. */
  readonly versionMicros: bigint;
  /** Expected rows: whether the server's SQL is certain of the JSON. Rows of the target: whether a run writes such a `source`. */
  readonly isCertain: boolean;
  /** The row's project and day, as text. */
  readonly cell: string;
}

/** Reads a row of a query for digests. Throws a TransportError where it is none. */
export function rowDigest(row: readonly unknown[]): RowDigest {
  const [key, all, withoutJson, version, isCertain, cell] = row.map(String);
  if (key === undefined || all === undefined || withoutJson === undefined || cell === undefined) {
    throw new TransportError("No digest came back");
  }
  if (!/^-?\d+$/.test(version ?? "")) {
    throw new TransportError("No digest came back");
  }
  return { key, all, withoutJson, versionMicros: BigInt(version ?? ""), isCertain: isCertain === "1", cell };
}

/** The rows of both sides that have one key. Several of a side: the target's sorting key does not tell them apart. */
export interface RowPair {
  readonly key: string;
  readonly expected: readonly RowDigest[];
  readonly actual: readonly RowDigest[];
}

/** Joins two streams of rows that are both in the order of their keys. */
export async function* joinDigests(
  expected: AsyncIterator<RowDigest>,
  actual: AsyncIterator<RowDigest>,
): AsyncGenerator<RowPair, void, void> {
  const left = new KeyGroups(expected);
  const right = new KeyGroups(actual);
  try {
    for (;;) {
      const [a, b] = [await left.peek(), await right.peek()];
      if (a === null && b === null) return;
      const key = a === null || (b !== null && b < a) ? (b as string) : a;
      yield {
        key,
        expected: a === key ? await left.take() : [],
        actual: b === key ? await right.take() : [],
      };
    }
  } finally {
    // One may have failed while the other still has a response open.
    await Promise.allSettled([expected.return?.(), actual.return?.()]);
  }
}

/** The rows of a stream, key by key. */
class KeyGroups {
  readonly #rows: AsyncIterator<RowDigest>;
  #next: RowDigest | null | undefined;

  constructor(rows: AsyncIterator<RowDigest>) {
    this.#rows = rows;
  }

  /** The next key; null at the end. */
  async peek(): Promise<string | null> {
    if (this.#next === undefined) {
      const result = await this.#rows.next();
      this.#next = result.done === true ? null : result.value;
    }
    return this.#next?.key ?? null;
  }

  /** The rows of the next key. */
  async take(): Promise<RowDigest[]> {
    const key = await this.peek();
    const rows: RowDigest[] = [];
    while (key !== null && (await this.peek()) === key) {
      rows.push(this.#next as RowDigest);
      this.#next = undefined;
    }
    return rows;
  }
}
