import { type SharedTraceStore, TraceStore } from "../../../src/traces/store.ts";

declare const self: Worker;

/** Enters one segment's records, as one of several threads. */
self.onmessage = (event: MessageEvent<{ shared: SharedTraceStore; place: number; records: number }>) => {
  const { shared, place, records } = event.data;
  new TraceStore(shared).addRecords(place, records);
  self.postMessage("done");
};
