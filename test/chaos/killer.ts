import { type FSWatcher, watch } from "node:fs";
import type { Fault, ProxiedRequest } from "../support/fault-proxy-faults.ts";
import type { KillPlan, KillSignal } from "./plan.ts";
import type { Program } from "./program.ts";

const STALL: Fault = { kind: "stall", afterBytes: -1 };
const CHECKPOINT_TEMPORARY = /\.json\..*\.tmp$/;

/** Kills a program as planned, and knows what it has sent. */
export class Killer {
  readonly #plan: KillPlan;
  readonly #timers: ReturnType<typeof setTimeout>[] = [];
  #watcher: FSWatcher | null = null;
  #program: Program | null = null;
  #isPulled = false;
  /** Signals that the program was alive to take. */
  readonly sent: KillSignal[] = [];

  constructor(plan: KillPlan) {
    this.#plan = plan;
  }

  /** Begins with the program's start. */
  arm(program: Program, stateDirectory: string): void {
    this.#program = program;
    const { moment } = this.#plan;
    if (moment.by === "time") this.#after(moment.afterMs);
    if (moment.by !== "checkpoint") return;
    const seen = new Set<string>();
    this.#watcher = watch(stateDirectory, (_, file) => {
      if (file === null || !CHECKPOINT_TEMPORARY.test(file)) return;
      if (seen.add(file).size === moment.nth) this.#pull();
    });
  }

  /** Called with each request before it is served; returns the fault that the plan has for it. */
  see({ kind, nth }: ProxiedRequest): Fault | null {
    const { moment } = this.#plan;
    if (moment.by !== "request" && moment.by !== "stall") return null;
    if (kind !== moment.kind || nth !== moment.nth) return null;
    this.#after(moment.delayMs);
    return moment.by === "stall" ? STALL : null;
  }

  /** After the program's end. */
  disarm(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#watcher?.close();
  }

  #after(ms: number): void {
    this.#timers.push(setTimeout(() => this.#pull(), ms));
  }

  #pull(): void {
    if (this.#isPulled) return;
    this.#isPulled = true;
    const [first, ...others] = this.#plan.signals;
    this.#send(first);
    let afterMs = 0;
    for (const { signal, afterMs: pauseMs } of others) {
      afterMs += pauseMs;
      this.#timers.push(setTimeout(() => this.#send(signal), afterMs));
    }
  }

  #send(signal: KillSignal): void {
    if (this.#program?.kill(signal)) this.sent.push(signal);
  }
}
