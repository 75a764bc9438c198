import { describe, expect, test } from "bun:test";
import { NativeFormatError } from "../../../src/clickhouse/native/format-error.ts";
import { backoffMs, type RetryNotice, type RetryPolicy, withRetry } from "../../../src/clickhouse/retry.ts";
import { isTransient, ServerError, TransportError } from "../../../src/clickhouse/server-errors.ts";

describe("an error is transient", () => {
  for (const code of [159, 160, 202, 209, 210, 236, 241, 242, 252, 285, 319, 394, 425, 999, 1002]) {
    test(`with code ${code}`, () => expect(isTransient(new ServerError(code, 500, ""))).toBe(true));
  }
  for (const status of [429, 502, 503, 504]) {
    test(`with HTTP status ${status}, whatever the code`, () => {
      expect(isTransient(new ServerError(0, status, ""))).toBe(true);
      // A code of a newer server that is too busy.
      expect(isTransient(new ServerError(745, status, ""))).toBe(true);
    });
  }
  test("when the response did not arrive whole", () => {
    expect(isTransient(new TransportError(""))).toBe(true);
    expect(isTransient(new NativeFormatError(""))).toBe(true);
  });
});

describe("an error is final", () => {
  // UNKNOWN_COLUMN, ILLEGAL_COLUMN, TYPE_MISMATCH, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_DATABASE, UNKNOWN_SETTING,
  // INCORRECT_DATA, READONLY, AUTHENTICATION_FAILED, ACCESS_DENIED
  for (const code of [16, 44, 53, 60, 62, 81, 115, 117, 164, 516, 497]) {
    test(`with code ${code}`, () =>
      expect(isTransient(new ServerError(code, 500, "Timeout exceeded"))).toBe(false));
  }
  for (const status of [200, 400, 401, 403, 404, 413, 500]) {
    test(`with HTTP status ${status} and no code`, () => {
      expect(isTransient(new ServerError(0, status, ""))).toBe(false);
    });
  }
  test("when it is a bug of the program", () => {
    expect(isTransient(new TypeError("socket hang up"))).toBe(false);
    expect(isTransient("ECONNRESET")).toBe(false);
  });
});

describe("backoffMs", () => {
  test("doubles up to a limit, of which jitter sets the upper half", () => {
    expect([0, 1, 2, 3].map((retries) => backoffMs(retries, 1))).toEqual([250, 500, 1000, 2000]);
    expect([0, 1, 2, 3].map((retries) => backoffMs(retries, 0))).toEqual([125, 250, 500, 1000]);
    expect(backoffMs(50, 1)).toBe(30_000);
    expect(backoffMs(2000, 0)).toBe(15_000);
  });
});

function policy(maxRetries: number, signal = new AbortController().signal) {
  const notices: RetryNotice[] = [];
  const policy: RetryPolicy = { maxRetries, signal, onRetry: (notice) => void notices.push(notice) };
  return { policy, notices };
}

describe("withRetry", () => {
  test("repeats what may succeed later, and reports each retry", async () => {
    const { policy: twice, notices } = policy(2);
    let attempts = 0;
    const result = await withRetry("Querying", twice, async () => {
      if (++attempts < 3) throw new TransportError(`attempt ${attempts}`);
      return "response";
    });
    expect(result).toBe("response");
    expect(
      notices.map(({ operation, attempt, maxRetries, message }) => ({
        operation,
        attempt,
        maxRetries,
        message,
      })),
    ).toEqual([
      { operation: "Querying", attempt: 1, maxRetries: 2, message: "attempt 1" },
      { operation: "Querying", attempt: 2, maxRetries: 2, message: "attempt 2" },
    ]);
  });

  test("ends with the last error when retries are used up", async () => {
    const { policy: once, notices } = policy(1);
    let attempts = 0;
    const attempt = async () => {
      throw new TransportError(`attempt ${++attempts}`);
    };
    await expect(withRetry("Querying", once, attempt)).rejects.toThrow("Querying: attempt 2");
    expect(notices).toHaveLength(1);
  });

  test("does not repeat a final error", async () => {
    const { policy: many, notices } = policy(5);
    let attempts = 0;
    const failed = withRetry("Querying", many, async () => {
      attempts++;
      throw new ServerError(60, 404, "no such table");
    });
    await expect(failed).rejects.toThrow("Querying: no such table");
    expect(attempts).toBe(1);
    expect(notices).toEqual([]);
  });

  test("leaves a failed operation within an operation as it is", async () => {
    let attempts = 0;
    const failed = withRetry("Outer", policy(5).policy, () =>
      withRetry("Inner", policy(0).policy, async () => {
        attempts++;
        throw new TransportError("broken");
      }),
    );
    await expect(failed).rejects.toThrow(/^Inner: broken$/);
    expect(attempts).toBe(1);
  });

  test("makes no attempt once it is cancelled", async () => {
    const reason = new Error("cancelled");
    let attempts = 0;
    const attempt = async () => void attempts++;
    const failed = withRetry("Querying", policy(5, AbortSignal.abort(reason)).policy, attempt);
    await expect(failed).rejects.toBe(reason);
    expect(attempts).toBe(0);
  });

  test("rejects with the reason when it is cancelled during an attempt or a wait", async () => {
    for (const cancelInAttempt of [true, false]) {
      const controller = new AbortController();
      const reason = new Error("cancelled");
      const { policy: many } = policy(5, controller.signal);
      let attempts = 0;
      const failed = withRetry(
        "Querying",
        { ...many, onRetry: () => queueMicrotask(() => controller.abort(reason)) },
        async () => {
          attempts++;
          if (cancelInAttempt) controller.abort(reason);
          throw new TransportError("broken");
        },
      );
      await expect(failed).rejects.toBe(reason);
      expect(attempts).toBe(1);
    }
  });
});
