import { expect, test } from "bun:test";
import { ByteWriter } from "../../../src/bytes/byte-writer.ts";
import {
  appendFloat64,
  appendInt64,
  appendSafeInt64,
  isInteger,
  numberEnd,
} from "../../../src/json/json-number.ts";
import type { Random } from "../../support/data/random.ts";
import { withSeed } from "../../support/property.ts";

const ROUNDS = 5000;
const out = new ByteWriter(16);

function digits(random: Random, most: number): string {
  return Array.from({ length: 1 + random.below(most) }, () => random.below(10)).join("");
}

test("an integer becomes the Int64 that BigInt has", () => {
  const limits = ["9223372036854775807", "-9223372036854775808", "-9223372036854775807", "-0", "0"];
  const check = (text: string): void => {
    out.reset();
    const value = BigInt(text);
    const bytes = Buffer.from(`1${text}2`);
    const fits = appendInt64(out, bytes, 1, 1 + text.length);
    expect(fits).toBe(value <= 2n ** 63n - 1n);
    if (fits) expect(out.written().readBigInt64LE()).toBe(value);
    if (text.length > 15) return;
    out.reset();
    appendSafeInt64(out, Number(text));
    expect(out.written().readBigInt64LE()).toBe(value);
  };
  for (const limit of [...limits, "9223372036854775808", "18446744073709551615"]) check(limit);
  withSeed(ROUNDS, (random) => {
    check((random.chance(0.5) ? "-" : "") + BigInt(digits(random, 18)));
  });
});

test("a number becomes the Float64 that it is nearest to", () => {
  withSeed(ROUNDS, (random) => {
    const sign = random.chance(0.3) ? "-" : "";
    const fraction = random.chance(0.7) ? `.${digits(random, random.pick([3, 15, 30]))}` : "";
    const exponent = random.chance(0.3) ? `${random.pick(["e", "E-", "e+"])}${random.below(320)}` : "";
    const text = `${sign}${BigInt(digits(random, random.pick([3, 17])))}${fraction}${exponent}`;
    const bytes = Buffer.from(`${text},7`);
    expect(numberEnd(bytes, 0, bytes.length)).toBe(text.length);
    expect(isInteger(bytes, 0, text.length)).toBe(fraction + exponent === "");
    out.reset();
    appendFloat64(out, bytes, 0, text.length);
    expect(Object.is(out.written().readDoubleLE(), Number(text))).toBe(true);
  });
});
