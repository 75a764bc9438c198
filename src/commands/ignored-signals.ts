import { readFileSync } from "node:fs";
import { constants } from "node:os";

/**
 * Whether this process was started with SIGHUP ignored, as nohup(1) does it; to be called before anything listens to the signal.
 * False where the system does not say so: only Linux does (SigIgn of proc_pid_status(5)).
 */
export function ignoresHangup(): boolean {
  let status: string;
  try {
    status = readFileSync("/proc/self/status", "utf8");
  } catch {
    // No such file on macOS.
    return false;
  }
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${mask}`) & (1n << BigInt(constants.signals.SIGHUP - 1))) !== 0n;
}
