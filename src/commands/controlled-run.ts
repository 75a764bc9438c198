import type { ControlOrder } from "../control/control-protocol.ts";
import { type ControlServer, serveControl } from "../control/control-server.ts";
import { formatRate } from "../throttle/rate.ts";
import type { Throttler } from "../throttle/throttler.ts";
import { liveRunJson } from "./live-run.ts";
import type { Session, Surface } from "./session.ts";

/** A run that can be looked at and steered. */
export interface Controllable {
  readonly throttler: Throttler;
  readonly surface: Surface;
}

const NO_SOCKET: ControlServer = { close: () => {} };

/**
 * Serves the control socket of a run. A dry run has none, since it leaves nothing on the disk. Where the system does not let it, the run
 * goes on without, and says so.
 */
export async function controlRun(session: Session, run: Controllable): Promise<ControlServer> {
  const { config, host, logger } = session;
  if (config.backfill.dryRun) return NO_SOCKET;
  try {
    const server = await serveControl(config.cursorStateDir, {
      status: () => liveRunJson(session, run.surface),
      carryOut: (order) => {
        logger.info(`Control: ${describeOrder(order)}`, { event: "control", order });
        return carryOut(order, run);
      },
    });
    host.onExit(() => server.close());
    return server;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    logger.warn(`This run cannot be looked at by status, nor steered by control: ${reason}`);
    return NO_SOCKET;
  }
}

/** The order as it is typed. */
function describeOrder(order: ControlOrder): string {
  if (order.order !== "set") return order.order;
  if (order.name === "workers") return `set workers=${order.workers}`;
  return `set rate=${order.rate === null ? "none" : formatRate(order.rate)}`;
}

function carryOut(order: ControlOrder, { throttler, surface }: Controllable): string {
  switch (order.order) {
    case "pause":
      throttler.pause("operator", "by the operator; control resume goes on");
      return "the run is paused: no block is sent, open INSERTs end, running queries end first";
    case "resume": {
      throttler.resume("operator");
      const { pausedFor } = throttler.state;
      return pausedFor.length === 0
        ? "the run goes on"
        : `the operator's pause is over; the run is still paused: ${pausedFor.join("; ")}`;
    }
    case "stop":
      surface.requestStop();
      return "the run stops as with SIGTERM; the same command continues it";
    case "set":
      if (order.name === "workers") {
        throttler.setWorkers(order.workers);
        return `${order.workers} ${order.workers === 1 ? "page is" : "pages are"} copied at the same time from now on`;
      }
      throttler.setRate(order.rate);
      return order.rate === null ? "the rate has no limit" : `at most ${formatRate(order.rate)} a second`;
  }
}
