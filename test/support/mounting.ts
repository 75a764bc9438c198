import { spawnSync } from "node:child_process";

/** A shell in mount, host name and user namespaces of its own, where what needs root elsewhere is everybody's. */
export const UNSHARED: readonly string[] = ["unshare", "--mount", "--uts", "--map-root-user"];

/** Whether {@link UNSHARED} works here: containers and hardened kernels may forbid it. */
export function canMount(): boolean {
  const [command = "", ...args] = [...UNSHARED, "mount", "-t", "tmpfs", "none", "/tmp"];
  return spawnSync(command, args).status === 0;
}

/** Takes from root what lets it write where permissions forbid it; nothing for others. */
export function boundByPermissions(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const without = "-dac_override,-dac_read_search";
  return ["setpriv", `--bounding-set=${without}`, `--inh-caps=${without}`];
}
