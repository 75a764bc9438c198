import { readdirSync, readFileSync } from "node:fs";

/** What a process took from start to end. Where /proc shows it, the peak is the program's own, without its parent's. */
export interface ProcessCost {
  readonly wallMs: number;
  /** Of all its threads, in user and system mode. */
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}

export interface FinishedProcess extends ProcessCost {
  readonly stdout: string;
}

/** Runs a command to its end. Rejects with what it wrote to stderr when it fails. */
export async function runProcess(command: readonly string[]): Promise<FinishedProcess> {
  const startedMs = performance.now();
  const child = Bun.spawn([...command], {
    // Variables of the caller's environment and its .env would change what the tool does.
    env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  // What the system counts for a child begins with the memory of the process that started it.
  const peak = watchPeakRss(child.pid);
  const outputs = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const code = await child.exited;
  const wallMs = performance.now() - startedMs;
  const peakRssBytes = peak.stop();
  const [stdout, stderr] = await outputs;
  if (code !== 0) throw new Error(`${command.join(" ")} ended with exit code ${code}:\n${stderr}${stdout}`);
  const usage = child.resourceUsage();
  if (usage === undefined) throw new Error("The system does not report what the process took");
  return {
    wallMs,
    cpuMs: Number(usage.cpuTime.total) / 1000,
    peakRssBytes: peakRssBytes ?? usage.maxRSS,
    stdout,
  };
}

const PEAK_POLL_MS = 20;

/** Watches a process's peak of resident memory; `stop` returns the last value seen, null where there is no /proc. */
function watchPeakRss(pid: number): { stop(): number | null } {
  let peak: number | null = null;
  const look = (): void => {
    try {
      const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      if (line !== undefined) peak = Number(line) * 1024;
    } catch {
      // The process has ended, or there is no /proc.
    }
  };
  const timer = setInterval(look, PEAK_POLL_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return peak;
    },
  };
}

const CLOCK_TICKS_PER_SECOND = 100;

/** The CPU time that a process has taken so far; null where there is no /proc. */
export function cpuMsOf(pid: number): number | null {
  try {
    // The second field is the command in parentheses, which may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / CLOCK_TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

/** The process that listens for the local ClickHouse: the one child whose command line names its script; null where there is no /proc. */
export function findServerPid(): number | null {
  try {
    for (const thread of readdirSync(`/proc/${process.pid}/task`)) {
      const children = readFileSync(`/proc/${process.pid}/task/${thread}/children`, "utf8");
      for (const pid of children.split(" ").filter((text) => text !== "")) {
        if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("dev-clickhouse.ts")) return Number(pid);
      }
    }
  } catch {
    return null;
  }
  return null;
}
