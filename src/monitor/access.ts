import { createHash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "../config/status-address.ts";

const BEARER = /^Bearer +(\S+)$/i;

/**
 * Whether a request's Host header names this machine by a name that can only mean this machine. A page of another site can reach
 * loopback through a browser as well, under a name of its own that resolves to it.
 */
export function namesLoopback(header: string | null): boolean {
  if (header === null || !URL.canParse(`http://${header}`)) return false;
  const { hostname } = new URL(`http://${header}`);
  return isLoopback(hostname.replace(/^\[|\]$/g, ""));
}

/** Whether an Authorization header brings the token; takes as long for a wrong one as for the right one. */
export function bringsToken(header: string | null, token: string): boolean {
  const [, given = ""] = BEARER.exec(header ?? "") ?? [];
  return timingSafeEqual(digestOf(given), digestOf(token));
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
