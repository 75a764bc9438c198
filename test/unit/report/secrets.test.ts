import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import { Secrets } from "../../../src/report/secrets.ts";

function hiding(password: string, publicText = ""): Secrets {
  const secrets = new Secrets();
  secrets.hidePassword("user", password, publicText);
  return secrets;
}

describe("a password is hidden", () => {
  const PASSWORDS = [
    "s3cr3t-Pa55%w0rd",
    'it\'s "quoted" \\ and\nbroken',
    "http://user:pass@host/?a=b&c=d#e",
    "pässwörd🙂",
    "$& $1 $`",
    "lone \ud800 surrogate",
    "a/b+c==",
  ];
  const SPELLINGS: readonly (readonly [name: string, spell: (password: string) => string])[] = [
    ["as it is", (password) => password],
    ["in JSON", (password) => JSON.stringify(password)],
    ["inspected", (password) => inspect({ password })],
    ["percent-encoded", (password) => encodeURIComponent(password.toWellFormed())],
    [
      "in a URL",
      (password) =>
        Object.assign(new URL("http://host"), { username: "user", password: password.toWellFormed() }).href,
    ],
    ["in a query", (password) => String(new URLSearchParams({ password: password.toWellFormed() }))],
    ["as HTTP sends it", (password) => `Basic ${Buffer.from(`user:${password}`).toString("base64")}`],
    ["in base64", (password) => Buffer.from(password).toString("base64")],
  ];
  test.each(SPELLINGS)("%s", (_, spell) => {
    for (const password of PASSWORDS) {
      const spelt = spell(password);
      const text = hiding(password).redact(`before ${spelt} after ${spelt}`);
      expect(text).toStartWith("before ");
      expect(text).toContain("***");
      expect(text).not.toContain(password);
      expect(text).not.toContain(spelt);
    }
  });
});

describe("a text stays as it is", () => {
  const text = "Check --clickhouse-user and --clickhouse-password: Basic dXNlcg==";

  test("without a secret", () => {
    expect(new Secrets().redact(text)).toBe(text);
    expect(hiding("").redact(text)).toBe(text);
  });

  test("where the secret is too short to be distinguished from other text", () => {
    expect(hiding("use").redact(text)).toBe(text);
  });

  test("where the secret is a word that is public anyway, but not where only it is sent", () => {
    const secrets = hiding("clickhouse", "--clickhouse-user");
    expect(secrets.redact(text)).toBe(text);
    const sent = Buffer.from("user:clickhouse").toString("base64");
    expect(secrets.redact(`Authorization: Basic ${sent}`)).toBe("Authorization: Basic ***");
  });
});

test("texts of a JSON value are redacted, and its numbers stay", () => {
  const secrets = hiding("1234");
  const value = { rows: 123456, message: "of 123456", list: [1234, "1234"], nothing: null };
  expect(secrets.redactTexts(value)).toEqual({
    rows: 123456,
    message: "of ***56",
    list: [1234, "***"],
    nothing: null,
  });
});
