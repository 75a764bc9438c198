import { unlessAborted } from "../abortable.ts";

/** Lets work through while it is open, and holds it while it is closed. It is open at first. */
export class Gate {
  #closed: PromiseWithResolvers<void> | null = null;

  get isClosed(): boolean {
    return this.#closed !== null;
  }

  close(): void {
    this.#closed ??= Promise.withResolvers<void>();
  }

  open(): void {
    this.#closed?.resolve();
    this.#closed = null;
  }

  /** Resolves once the gate is open. Rejects with the signal's reason. */
  async pass(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#closed !== null) await unlessAborted(this.#closed.promise, signal);
  }
}
