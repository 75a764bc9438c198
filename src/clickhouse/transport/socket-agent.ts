import { type ClientRequest, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Connector } from "./connector.ts";

/** What Node's agents do with a request before it has a connection; its types leave it out. */
interface AgentInternals {
  addRequest(request: ClientRequest, options: object): void;
}

/**
 * An agent of node:http whose connections the connector opens, so that every request of the program takes the same way. Each
 * request has a connection of its own: one that the server has closed while it was idle would fail the next.
 */
export function socketAgent(connector: Connector): HttpAgent {
  const agent = connector.isTls ? new HttpsAgent({ keepAlive: false }) : new HttpAgent({ keepAlive: false });
  agent.createConnection = (_options, callback) => {
    connector.connect(new AbortController().signal).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, undefined as never),
    );
    return undefined;
  };
  const internals = agent as HttpAgent & AgentInternals;
  const addRequest = internals.addRequest.bind(agent);
  internals.addRequest = (request, options) => {
    request.path = `${connector.origin}${request.path}`;
    for (const [name, value] of Object.entries(connector.proxyHeaders)) request.setHeader(name, value);
    addRequest(request, options);
  };
  return agent;
}
