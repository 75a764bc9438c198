/** Where the status page listens. */
export interface StatusAddress {
  /** A name or an address, IPv6 without its brackets. */
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

/** What is accepted, to follow "expected". */
export const A_STATUS_ADDRESS = "host:port, such as 127.0.0.1:9363 or [::1]:9363";

const ADDRESS = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+)):(\d{1,5})$/i;
const MAX_PORT = 65_535;

/** The address that a text means; null where it means none. */
export function parseStatusAddress(text: string): StatusAddress | null {
  const [, address, name, port] = ADDRESS.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined || Number(port) > MAX_PORT) return null;
  return { host: host.toLowerCase(), port: Number(port) };
}

/** The address as URLs have it. */
export function formatStatusAddress({ host, port }: StatusAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether a host, IPv6 without its brackets, is reached from this machine alone (https://www.rfc-editor.org/rfc/rfc6761#section-6.3). */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}
