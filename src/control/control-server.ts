import { unlinkSync } from "node:fs";
import * as v from "valibot";
import { isDeadSocket } from "./control-client.ts";
import { type ControlOrder, orderSchema, parseOrder, UnknownOrderError } from "./control-protocol.ts";
import { bindablePath, controlSocketPath, controlSocketsIn, withPrivateSocket } from "./control-socket.ts";
import type { LiveRunJson } from "./status-json.ts";

/** What the socket gives access to. */
export interface ControlledRun {
  status(): LiveRunJson;
  /** Carries an order out, and returns what was done, in a sentence. */
  carryOut(order: ControlOrder): string;
}

/** A control socket that is served. */
export interface ControlServer {
  /** Removes the socket. Safe to call twice. */
  close(): void;
}

/**
 * Serves the control socket of this run in the state directory: HTTP over a Unix socket that only its owner may use. Sockets that dead
 * runs left are removed.
 * @throws where the system does not let it; the run works without.
 */
export async function serveControl(directory: string, run: ControlledRun): Promise<ControlServer> {
  for (const socket of controlSocketsIn(directory)) {
    if (await isDeadSocket(socket)) unlinkSync(socket);
  }
  const path = controlSocketPath(directory);
  const bindable = bindablePath(path);
  if (bindable === null) {
    throw new Error(
      `the path ${path} is too long for a socket; a shorter --cursor-state-dir has room for it`,
    );
  }
  const server = withPrivateSocket(directory, bindable, () =>
    Bun.serve({ unix: bindable, fetch: (request) => respond(request, run) }),
  );
  // The run ends when its work does.
  server.unref();
  let isOpen = true;
  return {
    close: () => {
      if (!isOpen) return;
      isOpen = false;
      void server.stop(true);
    },
  };
}

async function respond(request: Request, run: ControlledRun): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (request.method === "GET" && pathname === "/status") return Response.json(run.status());
  if (request.method !== "POST" || pathname !== "/control") return error(404, "no such request");
  const body = v.safeParse(orderSchema, await request.json().catch(() => null));
  if (!body.success) return error(400, "the request holds no order");
  try {
    return Response.json({ done: run.carryOut(parseOrder(body.output.words)) });
  } catch (failure) {
    if (failure instanceof UnknownOrderError) return error(400, failure.message);
    throw failure;
  }
}

function error(status: number, message: string): Response {
  return Response.json({ error: message }, { status });
}
