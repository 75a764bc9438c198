/** Entry of a page worker's thread. */
import { PageWorker } from "./threads/page-worker.ts";
import type { WorkerMessage, WorkerRequest } from "./threads/worker-protocol.ts";

declare const self: Worker;

const worker = new PageWorker((message: WorkerMessage) => self.postMessage(message));
self.onmessage = (event: MessageEvent<WorkerRequest>): void => {
  void worker.handle(event.data);
};
