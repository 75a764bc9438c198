import * as v from "valibot";
import { RunError } from "../errors.ts";
import { bindablePath } from "./control-socket.ts";
import { type LiveRunJson, liveRunSchema } from "./status-json.ts";

/** A run responds at once: it has nothing to wait for. */
const TIMEOUT_MS = 5_000;

/** Whether nobody listens at a socket any more. */
export async function isDeadSocket(path: string): Promise<boolean> {
  try {
    await request(path, "/status");
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ECONNREFUSED";
  }
}

/**
 * Asks a run how it is; null where it is gone.
 * @throws {RunError} where the run does not let this user in, or does not respond.
 */
export async function readLiveRun(path: string): Promise<LiveRunJson | null> {
  const response = await exchange(path, "/status");
  if (response === null) return null;
  const parsed = v.safeParse(liveRunSchema, await response.json());
  if (!parsed.success) throw new RunError(`The run at ${path} is of another version of this program`);
  return parsed.output;
}

/**
 * Gives a run an order, and returns what it did.
 * @throws {RunError} where it is gone, does not let this user in, does not respond, or does not take the order.
 */
export async function sendOrder(path: string, words: readonly string[]): Promise<string> {
  const response = await exchange(path, "/control", { method: "POST", body: JSON.stringify({ words }) });
  if (response === null) throw new RunError(`The run at ${path} is gone`);
  const body = v.parse(
    v.object({ done: v.optional(v.string()), error: v.optional(v.string()) }),
    await response.json(),
  );
  if (body.done === undefined) throw new RunError(`The run refused: ${body.error ?? response.statusText}`);
  return body.done;
}

async function exchange(path: string, target: string, init: RequestInit = {}): Promise<Response | null> {
  try {
    return await request(path, target, init);
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case "ENOENT":
      case "ECONNREFUSED":
        return null;
      case "EACCES":
      case "EPERM":
        throw new RunError(
          `The run at ${path} belongs to another user: only that one can look at it and steer it`,
        );
      default:
        throw new RunError(
          `The run at ${path} does not respond: ${error instanceof Error ? error.message : error}`,
        );
    }
  }
}

async function request(path: string, target: string, init: RequestInit = {}): Promise<Response> {
  const unix = bindablePath(path) ?? path;
  return await fetch(`http://localhost${target}`, { ...init, unix, signal: AbortSignal.timeout(TIMEOUT_MS) });
}
