import { expect, test } from "bun:test";
import { quoteValue } from "../../../src/config/quote-value.ts";

test.each([
  ["3 workers", '"3 workers"'],
  ["the password", '"the password"'],
  ["/run/secrets/password-of-clickhouse", '"/run/secrets/password-of-clickhouse"'],
  ["PASSWORD = s3cret", '"PASSWORD =***"'],
  ["CLICKHOUSE_PASSWORD=s3cret", '"CLICKHOUSE_PASSWORD***"'],
  ["CLICKHOUSE_PASSWORD`--s3cret=1`", '"CLICKHOUSE_PASSWORD***"'],
  ["clickhouse_password s3cret\nmore", '"clickhouse_password***"'],
  ["http://user:s3cret@host/?password=s3cret", '"http://***@host/?***"'],
])("%j is quoted as %s", (value, shown) => {
  expect(quoteValue(value)).toBe(shown);
});
