import { expect, test } from "bun:test";
import { Watchers } from "../../../src/monitor/watchers.ts";

const HERE = new AbortController().signal;

test("all who wait get the same update, which is made once", async () => {
  const watchers = new Watchers<object>();
  const [one, other] = [watchers.next(HERE), watchers.next(HERE)];
  let made = 0;
  watchers.update(() => ({ number: ++made }));
  expect(await one).toBe(await other);
  watchers.update(() => ({ number: ++made }));
  expect(made).toBe(1);
});

test("the end waits for those who are between two requests, and they get it", async () => {
  const watchers = new Watchers<string>();
  const [first, second] = [watchers.next(HERE), watchers.next(HERE)];
  watchers.update(() => "update");
  expect([await first, await second]).toEqual(["update", "update"]);
  const waiting = watchers.next(HERE);

  let isOver = false;
  const end = watchers.end(() => "end").then(() => (isOver = true));
  expect(await waiting).toBe("end");
  await Bun.sleep(1);
  expect(isOver).toBe(false);
  expect(await watchers.next(HERE)).toBe("end");
  await end;
});

test("the end waits for nobody where all who had an update are there", async () => {
  const watchers = new Watchers<string>();
  await watchers.end(() => "end");
  expect(await watchers.next(HERE)).toBe("end");
});

test("those who left are not kept, nor waited for after the next update", async () => {
  const watchers = new Watchers<string>();
  const gone = new AbortController();
  void watchers.next(gone.signal).then(() => expect.unreachable());
  gone.abort();
  const got = watchers.next(HERE);
  watchers.update(() => "update");
  expect(await got).toBe("update");
  watchers.update(() => expect.unreachable());
  await watchers.end(() => "end");
});
