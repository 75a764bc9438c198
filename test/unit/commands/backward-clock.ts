// Preloaded into the program, lets the clock jump back by an hour whenever it is read.
const RealDate = Date;
const HOUR_MS = 3_600_000;
let looks = 0;

function now(): number {
  looks += 1;
  return RealDate.now() - looks * HOUR_MS;
}

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args: [string | number] | []) =>
    args.length === 0 ? new target(now()) : new target(...args),
  get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
});
