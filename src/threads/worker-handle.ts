import type { PageListener } from "../copy/page-copier.ts";
import type { CopiedPage } from "../copy/page-result.ts";
import { fromThreadError } from "./thread-error.ts";
import type {
  CommandName,
  PageOrder,
  WorkerCommands,
  WorkerEvent,
  WorkerMessage,
} from "./worker-protocol.ts";

/** The worker ended its command because of a stop. */
export class StoppedError extends Error {
  override readonly name: string = "StoppedError";
}

interface PendingCall {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly listener: PageListener | null;
}

/** The main thread's end of one worker. */
export class WorkerHandle {
  readonly #worker: Worker;
  readonly #onEvent: (event: WorkerEvent) => void;
  readonly #pending = new Map<number, PendingCall>();
  #calls = 0;
  /** Why the worker takes no more commands. */
  #dead: Error | null = null;

  constructor(url: URL, onEvent: (event: WorkerEvent) => void) {
    this.#onEvent = onEvent;
    this.#worker = new Worker(url);
    this.#worker.onmessage = (event: MessageEvent<WorkerMessage>) => this.#receive(event.data);
    this.#worker.onerror = (event) => this.#die(new Error(`A thread failed: ${event.message}`));
    this.#worker.addEventListener("close", () => this.#die(new Error("A thread ended unexpectedly")));
  }

  /** Runs a command in the worker. Rejects with the error that ended it in the thread, or with a StoppedError. */
  call<Name extends CommandName>(
    command: Name,
    argument: WorkerCommands[Name]["takes"],
  ): Promise<WorkerCommands[Name]["returns"]> {
    return this.#call(command, argument, null);
  }

  /** Copies a page by a pipeline of the worker, also while that one copies another. Rejects like `call`. */
  copyPage(page: PageOrder, listener: PageListener): Promise<CopiedPage> {
    return this.#call("copyPage", page, listener);
  }

  #call<Name extends CommandName>(
    command: Name,
    argument: WorkerCommands[Name]["takes"],
    listener: PageListener | null,
  ): Promise<WorkerCommands[Name]["returns"]> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#pending.set(call, { resolve: resolve as (value: unknown) => void, reject, listener });
      this.#worker.postMessage({ call, command, argument });
    });
  }

  /** Has the worker hold its blocks back, and end its open INSERTs; or go on. */
  setPaused(isPaused: boolean): void {
    if (this.#dead === null) this.#worker.postMessage({ command: isPaused ? "pause" : "resume" });
  }

  /** Has the current commands end after the batches in flight. */
  stop(): void {
    if (this.#dead === null) this.#worker.postMessage({ command: "stop" });
  }

  /** Ends the thread at once. */
  terminate(): void {
    this.#dead ??= new StoppedError("The thread was ended");
    this.#worker.terminate();
  }

  #receive(message: WorkerMessage): void {
    switch (message.kind) {
      case "result":
        this.#settle(message.call)?.resolve(message.value);
        return;
      case "error": {
        const error = fromThreadError(message.error);
        this.#settle(message.call)?.reject(
          message.wasStopped ? new StoppedError(error.message, { cause: error }) : error,
        );
        return;
      }
      case "page":
        this.#pending.get(message.call)?.listener?.onProgress(message.done, message.spent);
        return;
      case "read":
        this.#pending.get(message.call)?.listener?.onRead();
        return;
      default:
        this.#onEvent(message);
    }
  }

  #die(error: Error): void {
    this.#dead ??= error;
    for (const call of this.#pending.keys()) this.#settle(call)?.reject(error);
  }

  #settle(call: number): PendingCall | undefined {
    const pending = this.#pending.get(call);
    this.#pending.delete(call);
    return pending;
  }
}
