import { hostname } from "node:os";
import type { ControlOrder } from "../control/control-protocol.ts";
import { type ControlServer, serveControl } from "../control/control-server.ts";
import type { LiveRunJson } from "../control/status-json.ts";
import { progressJson } from "../report/progress-json.ts";
import { formatRate } from "../throttle/rate.ts";
import type { Throttler } from "../throttle/throttler.ts";
import type { Host } from "./host.ts";
import type { Session, Surface } from "./session.ts";

/** A run that can be looked at and steered. */
export interface Controllable {
  readonly throttler: Throttler;
  readonly surface: Surface;
  readonly months: readonly { readonly partition: string }[];
}

const NO_SOCKET: ControlServer = { close: () => {} };

/**
 * Serves the control socket of a run. A dry run has none, since it leaves nothing on the disk. Where the system does not let it, the run
 * goes on without, and says so.
 */
export async function controlRun(session: Session, run: Controllable): Promise<ControlServer> {
  const { config, host, logger } = session;
  if (config.backfill.dryRun) return NO_SOCKET;
  const since = new Date().toISOString();
  const { connection, tables, engine } = config.backfill;
  try {
    const server = await serveControl(config.cursorStateDir, {
      status: () =>
        redacted(host, {
          pid: process.pid,
          host: hostname(),
          since,
          months: run.months.map(({ partition }) => partition),
          server: connection.url,
          database: connection.database,
          target: tables.target,
          engine,
          progress: progressJson(run.surface.snapshot()),
        }),
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

/** Messages of servers and libraries may quote what they were sent. */
function redacted(host: Host, status: LiveRunJson): LiveRunJson {
  return JSON.parse(host.secrets.redact(JSON.stringify(status))) as LiveRunJson;
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
