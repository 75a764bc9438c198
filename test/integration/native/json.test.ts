import { beforeAll, describe, expect, test } from "bun:test";
import { type TestServer, testServer } from "../../../scripts/testbed/server.ts";
import { ByteWriter } from "../../../src/bytes/byte-writer.ts";
import { Server } from "../../../src/clickhouse/server.ts";
import { readServerSettings } from "../../../src/clickhouse/settings/read-server-settings.ts";
import { statementSettings } from "../../../src/clickhouse/settings/statement-settings.ts";
import { EMBED, type Embed, embedOf, needsEscape, writeJsonString } from "../../../src/json/json-string.ts";
import { JsonObjectBuilder } from "../../../src/json/object-builder.ts";
import { METADATA_KEYS, METADATA_VALUES } from "../../support/data/oddities.ts";
import { chooseSeed, type Random, randomFrom } from "../../support/data/random.ts";
import { isWithinLimits } from "../../unit/json/limits.ts";
import { repeatsPaths, storedPaths } from "../../unit/json/stored-paths.ts";
import { randomValue } from "../../unit/json/values.ts";
import { decodeBlocks, encodeBlock, fixed } from "../../unit/native/slow-codec.ts";

const VALUES = 6000;
const OBJECTS = 1500;

interface Verdict {
  readonly value: Buffer;
  readonly isValidJson: boolean;
  /** The value as toValidUTF8 has it. */
  readonly repaired: Buffer;
}

const random = randomFrom(chooseSeed());
let server: TestServer;
let database: string;
let verdicts: Verdict[];

beforeAll(async () => {
  server = await testServer();
  database = await server.createDatabase("json");
  const fixtures = Object.values(METADATA_VALUES).flat();
  const values = [
    ...fixtures.map((text) => Buffer.from(text)),
    ...Array.from({ length: VALUES }, () => randomValue(random)),
  ];
  await server.command("CREATE TABLE texts (i UInt32, v String) ENGINE = Memory", { database });
  await insertNumbered("texts", "v", "String", values);
  const sql = "SELECT v, isValidJSON(v), toValidUTF8(v) FROM texts ORDER BY i FORMAT Native";
  const [block] = decodeBlocks(
    Buffer.from(await server.fetchBytes(sql, { database, settings: { max_block_size: 100_000 } })),
  );
  const [texts, valid, repaired] = (block?.columns ?? []).map((column) => column.values as string[]);
  verdicts = (texts ?? []).map((text, i) => ({
    value: Buffer.from(text, "latin1"),
    isValidJson: valid?.[i] === "\x01",
    repaired: Buffer.from(repaired?.[i] ?? "", "latin1"),
  }));
  expect(verdicts.map(({ value }) => value)).toEqual(values);
});

async function insertNumbered(
  table: string,
  column: string,
  type: string,
  values: readonly Buffer[],
): Promise<void> {
  const body = encodeBlock([
    { name: "i", type: "UInt32", values: values.map((_, i) => fixed(i, 4)) },
    { name: column, type, values: values.map((value) => value.toString("latin1")) },
  ]);
  // What a run sends, so that this test fails when it no longer suffices.
  const { url, user, password } = server;
  const found = await readServerSettings(
    new Server({ url, user, password, database }),
    new AbortController().signal,
  );
  const settings = statementSettings(found).insert;
  const written = await server.insertRaw(`INSERT INTO ${table} (i, ${column}) FORMAT Native`, body, {
    database,
    settings,
  });
  expect(written).toBe(values.length);
}

const BOM = Buffer.from("\ufeff");

function expectedEmbed({ value, isValidJson, repaired }: Verdict): Embed {
  // In 26.9 isValidJSON came to take integers beyond 64 bits, which are not within the limits.
  const isEmbeddable = isValidJson && !value.subarray(0, 3).equals(BOM) && isWithinLimits(value.toString());
  if (isEmbeddable) return EMBED.asJson;
  const isPlain = value.equals(repaired) && JSON.stringify(value.toString()) === `"${value}"`;
  return isPlain ? EMBED.asPlainString : EMBED.asEscapedString;
}

describe("a value of metadata", () => {
  test("is embedded as JSON where the engine takes it as such, within the limits", () => {
    let embedded = 0;
    for (const verdict of verdicts) {
      const { value } = verdict;
      // What stands around a value must not matter.
      const around = Buffer.concat([Buffer.from('{"1'), value, Buffer.from('0"}]e5')]);
      const embed = embedOf(around, 3, 3 + value.length);
      if (embed !== expectedEmbed(verdict)) {
        throw new Error(
          `${JSON.stringify(value.toString("latin1"))}: ${embed}, not ${expectedEmbed(verdict)}`,
        );
      }
      if (embed === EMBED.asJson) embedded++;
    }
    expect(embedded).toBeGreaterThan(VALUES / 5);
    expect(embedded).toBeLessThan(VALUES * 0.8);
  });

  test("becomes a JSON string of what toValidUTF8 makes of it", () => {
    const out = new ByteWriter(16);
    for (const { value, repaired } of verdicts) {
      out.reset();
      const around = Buffer.concat([Buffer.from("é"), value, Buffer.from("\x80\x80", "latin1")]);
      writeJsonString(out, around, 2, 2 + value.length);
      const text = out.written().toString();
      if (JSON.parse(text) !== repaired.toString()) {
        throw new Error(`${JSON.stringify(value.toString("latin1"))} became ${text}`);
      }
    }
  });

  test("needs an escape unless it can stand between quotes as it is", () => {
    for (const { value, repaired } of verdicts) {
      const isPlain = value.equals(repaired) && JSON.stringify(value.toString()) === `"${value}"`;
      expect(needsEscape(value, 0, value.length)).toBe(!isPlain);
    }
  });
});

interface Member {
  readonly key: Buffer;
  readonly value: Buffer;
}

function randomMembers(random: Random): Member[] {
  const keys = new Set<string>();
  const members: Member[] = [];
  for (let i = random.below(6); i > 0; i--) {
    const key = Buffer.from(random.pick(METADATA_KEYS));
    // Of equal keys the caller adds the first only.
    if (keys.has(key.toString())) continue;
    keys.add(key.toString());
    members.push({ key, value: random.pick(verdicts).value });
  }
  return members;
}

const builder = new JsonObjectBuilder();

function objectText(members: readonly Member[]): Buffer {
  const out = new ByteWriter();
  builder.reset();
  for (const { key, value } of members) {
    const embed = embedOf(value, 0, value.length);
    builder.add(key, 0, key.length, needsEscape(key, 0, key.length), value, 0, value.length, embed);
  }
  builder.write(out);
  return Buffer.from(out.written());
}

describe("objects built from metadata", () => {
  test("are taken by a JSON column and kept as they are", async () => {
    const objects = Array.from({ length: OBJECTS }, () => objectText(randomMembers(random)));
    await server.command("CREATE TABLE objects (i UInt32, j JSON) ENGINE = Memory", { database });
    await insertNumbered("objects", "j", "JSON", objects);
    const rows = await server.queryJson<{ t: string }>("SELECT toString(j) AS t FROM objects ORDER BY i", {
      database,
    });
    expect(rows).toHaveLength(objects.length);
    let compared = 0;
    rows.forEach(({ t: stored }, i) => {
      const text = (objects[i] as Buffer).toString();
      if (repeatsPaths(text)) return;
      compared++;
      // Not by expect, which would print texts of many kilobytes.
      if (storedPaths(stored) !== storedPaths(text)) {
        throw new Error(`${text.slice(0, 1000)}\nis stored as\n${stored.slice(0, 1000)}`);
      }
    });
    expect(compared).toBeGreaterThan(OBJECTS / 2);
  });
});

test("a null within an array stays one, whatever other rows have there", async () => {
  const objects = ['{"a":[{"x":1}],"b":[[1]]}', '{"a":[null,{"x":1}],"b":[null]}'];
  await server.command("CREATE TABLE nulls (i UInt32, o JSON) ENGINE = Memory", { database });
  // The header type that the tool sends: JSON, as strings.
  await insertNumbered(
    "nulls",
    "o",
    "JSON",
    objects.map((text) => Buffer.from(text)),
  );
  const rows = await server.query("SELECT toString(o) FROM nulls ORDER BY i FORMAT TSVRaw", { database });
  expect(rows.trim().split("\n")).toEqual(objects);
});
