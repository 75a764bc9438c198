import { describe, expect, test } from "bun:test";
import { type WaitNotice, type WaitPolicy, waitForMerges } from "../../../src/clickhouse/merge-wait.ts";
import { OperationError } from "../../../src/clickhouse/retry.ts";
import { refusalOf, ServerError, TransportError } from "../../../src/clickhouse/server-errors.ts";

const TOO_MANY_PARTS = new ServerError(252, 500, "Too many parts (301)");

function policy(maxWaitMs: number, changes: Partial<WaitPolicy> = {}) {
  const notices: WaitNotice[] = [];
  const signal = new AbortController().signal;
  const wait: WaitPolicy = { maxWaitMs, onWait: (notice) => void notices.push(notice), signal, ...changes };
  return { wait, notices };
}

describe("waitForMerges", () => {
  test("tries again and again until the table takes the insert, and reports each pause", async () => {
    // Each pause is at most what is left of the time, which keeps them short here.
    const { wait, notices } = policy(400);
    let attempts = 0;
    const result = await waitForMerges("Inserting", wait, async () => {
      if (++attempts === 1) throw TOO_MANY_PARTS;
      return "stored";
    });
    expect(result).toBe("stored");
    expect(notices.map(({ operation, message }) => [operation, message])).toEqual([
      ["Inserting", "Too many parts (301)"],
    ]);
    expect(notices[0]?.delayMs).toBeLessThanOrEqual(400);
  });

  test("ends with the server's message when the time is up", async () => {
    const { wait, notices } = policy(60);
    const failed = waitForMerges("Inserting", wait, async () => {
      throw TOO_MANY_PARTS;
    });
    const error: unknown = await failed.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OperationError);
    expect((error as OperationError).cause).toBe(TOO_MANY_PARTS);
    expect((error as OperationError).message).toMatch(
      /^Inserting: after .* the table still has too many parts: Too many/,
    );
    expect(notices.length).toBeGreaterThan(0);
  });

  test("rethrows the error where waiting is disabled, and every other error", async () => {
    for (const [maxWaitMs, error] of [
      [0, TOO_MANY_PARTS],
      [60_000, new ServerError(241, 500, "Memory limit")],
      [60_000, new TransportError("reset")],
    ] as const) {
      const { wait, notices } = policy(maxWaitMs);
      const failed = waitForMerges("Inserting", wait, async () => {
        throw error;
      });
      await expect(failed).rejects.toBe(error);
      expect(notices).toEqual([]);
    }
  });

  test("ends at once with the signal's reason", async () => {
    const controller = new AbortController();
    const reason = new Error("stopped");
    const { wait } = policy(600_000, {
      signal: controller.signal,
      onWait: () => queueMicrotask(() => controller.abort(reason)),
    });
    let attempts = 0;
    const failed = waitForMerges("Inserting", wait, async () => {
      attempts++;
      throw TOO_MANY_PARTS;
    });
    await expect(failed).rejects.toBe(reason);
    expect(attempts).toBe(1);
  });
});

describe("a refused insert", () => {
  const reasonOf = (code: number, status = 500) =>
    refusalOf(new ServerError(code, status, ""))?.reason ?? null;

  test.each([158, 159, 160, 173, 209, 241, 307, 396])("may pass when it is smaller: %i", (code) => {
    expect(reasonOf(code)).toBe("size");
  });

  test.each([408, 413, 504])("may pass a proxy when it is smaller: HTTP %i", (status) => {
    expect(reasonOf(0, status)).toBe("size");
    // The server's own code says more than the status.
    expect(reasonOf(60, status)).toBeNull();
  });

  test.each([6, 27, 38, 41, 72, 117, 131, 321, 349, 395, 407, 469, 691])(
    "may pass without a row of it: %i",
    (code) => expect(reasonOf(code)).toBe("data"),
  );

  // UNKNOWN_IDENTIFIER, NO_SUCH_COLUMN, ILLEGAL_COLUMN, TYPE_MISMATCH, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_DATABASE,
  // UNKNOWN_SETTING, READONLY, NOT_ENOUGH_SPACE, TOO_MANY_PARTS, ACCESS_DENIED, AUTHENTICATION_FAILED
  test.each([0, 16, 44, 47, 53, 60, 62, 81, 115, 164, 243, 252, 497, 516])(
    "would be refused in parts as well: %i",
    (code) => expect(reasonOf(code)).toBeNull(),
  );

  test("is a response of the server", () => {
    expect(refusalOf(new TransportError("Memory limit exceeded"))).toBeNull();
  });
});
