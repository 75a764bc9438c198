import { describe, expect, test } from "bun:test";
import { OperationError } from "../../../src/clickhouse/retry.ts";
import {
  ForeignResponseError,
  isTransient,
  ServerError,
  TransportError,
} from "../../../src/clickhouse/server-errors.ts";
import { fromThreadError, toThreadError } from "../../../src/threads/thread-error.ts";

/** The error as another thread gets it. */
function sent(error: unknown): Error {
  return fromThreadError(structuredClone(toThreadError(error)));
}

describe("an error that crosses threads", () => {
  test("keeps its class, code, message and stack", () => {
    const error = new ServerError(241, 500, "Memory limit", "clickhouse-backfill-1");
    const received = sent(error);
    expect(received).toBeInstanceOf(ServerError);
    expect(received).toMatchObject({
      code: 241,
      httpStatus: 500,
      words: "Memory limit",
      name: "ServerError",
    });
    expect(received.message).toBe("Memory limit [query_id clickhouse-backfill-1]");
    expect(received.stack).toBe(error.stack);
    expect(isTransient(received)).toBe(true);
  });

  test("keeps its causes, each with its own class", () => {
    const cause = new TransportError("Broken", {
      cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }),
    });
    const received = sent(new OperationError("Copying", cause));
    expect(received).toBeInstanceOf(OperationError);
    expect(received.message).toBe("Copying: Broken");
    expect(received.cause).toBeInstanceOf(TransportError);
    expect((received.cause as Error).cause).toMatchObject({ message: "reset", code: "ECONNRESET" });
  });

  test("distinguishes a subclass from its base", () => {
    expect(sent(new ForeignResponseError(302, "redirect"))).toBeInstanceOf(ForeignResponseError);
    expect(sent(new ServerError(60, 404, "none"))).not.toBeInstanceOf(ForeignResponseError);
  });

  test("is still a bug where it was one", () => {
    const received = sent(new TypeError("x is undefined"));
    expect(received).toBeInstanceOf(TypeError);
    expect(`${received.name}: ${received.message}`).toBe("TypeError: x is undefined");
  });

  test("of an unknown class keeps its name, and a text becomes an error", () => {
    class OddError extends Error {
      override readonly name = "OddError";
      readonly held = () => 1;
    }
    const received = sent(new OddError("odd"));
    expect(received).toBeInstanceOf(Error);
    expect(received).toMatchObject({ name: "OddError", message: "odd" });
    expect(sent("text").message).toBe("text");
  });

  test("ends its causes where they form a circle", () => {
    const error = new Error("a");
    error.cause = error;
    expect(sent(error).message).toBe("a");
  });
});
