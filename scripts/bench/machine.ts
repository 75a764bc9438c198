import { arch, cpus, platform, release, totalmem } from "node:os";

/** What a figure depends on, apart from the program. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly bun: string;
  readonly clickhouse: string;
}

export function describeMachine(clickhouse: string): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    bun: Bun.version,
    clickhouse,
  };
}

export function renderMachine({ cpu, cores, memoryBytes, system, bun, clickhouse }: Machine): string {
  const memory = `${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  return `${cpu}, ${cores} cores, ${memory}, ${system}, Bun ${bun}, ClickHouse ${clickhouse} (chDB on the same cores)`;
}
