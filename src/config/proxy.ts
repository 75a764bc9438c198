import { isIPv4 } from "node:net";
import type { ProxySettings } from "../clickhouse/connection.ts";
import { UsageError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for a URL, by the conventions of curl: `https_proxy` or `http_proxy` by the URL's protocol,
 * `no_proxy` for hosts that are reached without one; the names count in small letters before capitals. This machine is
 * always reached without one.
 * @throws {UsageError} for a proxy of another kind than HTTP.
 */
export function proxyFor(serverUrl: string, environment: Environment): ProxySettings | null {
  const url = new URL(serverUrl);
  const name = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const text = variable(environment, name);
  if (text === "" || isLoopback(url.hostname) || isExcluded(url, variable(environment, "NO_PROXY")))
    return null;
  const proxy = parse(text);
  if (proxy === null) {
    throw new UsageError(
      `${name}: expected an HTTP proxy such as http://proxy.example.com:3128; NO_PROXY=${url.hostname} goes past it`,
    );
  }
  return proxy;
}

function variable(environment: Environment, name: string): string {
  return environment[name.toLowerCase()] || environment[name] || "";
}

function parse(text: string): ProxySettings | null {
  const withProtocol = text.includes("://") ? text : `http://${text}`;
  if (!URL.canParse(withProtocol)) return null;
  const { protocol, hostname, port, username, password } = new URL(withProtocol);
  if (protocol !== "http:" || hostname === "") return null;
  const credentials =
    username === "" ? null : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: port === "" ? 80 : Number(port), credentials };
}

function isLoopback(host: string): boolean {
  return (
    host === "localhost" ||
    host.endsWith(".localhost") ||
    host === "[::1]" ||
    (isIPv4(host) && host.startsWith("127."))
  );
}

/** `*`, hosts, and domains with everything below them, each with a port or without. */
function isExcluded({ hostname, port, protocol }: URL, list: string): boolean {
  const actualPort = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      const [, host = "", wantedPort] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (host === "" || (wantedPort !== undefined && wantedPort !== actualPort)) return false;
      const domain = host.replace(/^\*?\./, "");
      return host === "*" || hostname === domain || hostname.endsWith(`.${domain}`);
    });
}
