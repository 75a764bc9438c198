import { RunError } from "../errors.ts";
import type { CommandName, WorkerCommands, WorkerMessage } from "./worker-protocol.ts";

/** What a worker tells while it carries out a command. */
export type WorkerNews = Exclude<WorkerMessage, { kind: "result" | "error" }>;

/** The worker ended its command because it was asked to. */
export class StoppedError extends Error {
  override readonly name: string = "StoppedError";
}

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The main thread's end of one worker. */
export class WorkerHandle {
  readonly #worker: Worker;
  readonly #onNews: (news: WorkerNews) => void;
  #pending: PendingCall | null = null;
  /** Why the worker can take no more commands. */
  #dead: Error | null = null;

  constructor(url: URL, onNews: (news: WorkerNews) => void) {
    this.#onNews = onNews;
    this.#worker = new Worker(url);
    this.#worker.onmessage = (event: MessageEvent<WorkerMessage>) => this.#receive(event.data);
    this.#worker.onerror = (event) => this.#die(new RunError(`A worker failed: ${event.message}`));
    this.#worker.addEventListener("close", () => this.#die(new RunError("A worker ended unexpectedly")));
  }

  /** Has the worker carry out a command; one at a time. Rejects with a RunError or a StoppedError. */
  call<Name extends CommandName>(
    command: Name,
    argument: WorkerCommands[Name]["takes"],
  ): Promise<WorkerCommands[Name]["returns"]> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (this.#pending !== null) return Promise.reject(new Error("A worker takes one command at a time"));
    return new Promise((resolve, reject) => {
      this.#pending = { resolve: resolve as (value: unknown) => void, reject };
      this.#worker.postMessage({ command, argument });
    });
  }

  /** Asks the command at hand to end after the batches in flight. */
  stop(): void {
    if (this.#dead === null) this.#worker.postMessage({ command: "stop" });
  }

  /** Ends the thread at once. */
  terminate(): void {
    this.#dead ??= new RunError("The worker was ended");
    this.#worker.terminate();
  }

  #receive(message: WorkerMessage): void {
    if (message.kind === "result") this.#settle((call) => call.resolve(message.value));
    else if (message.kind === "error") {
      const error = message.wasStopped ? new StoppedError(message.message) : new RunError(message.message);
      this.#settle((call) => call.reject(error));
    } else this.#onNews(message);
  }

  #die(error: Error): void {
    this.#dead ??= error;
    this.#settle((call) => call.reject(error));
  }

  #settle(end: (call: PendingCall) => void): void {
    const call = this.#pending;
    this.#pending = null;
    if (call !== null) end(call);
  }
}
