import { describe, expect, test } from "bun:test";
import { parseDotenv } from "../../../src/config/dotenv.ts";
import { OPTION_LIST, type Settings, takesOption } from "../../../src/config/options.ts";
import { resolveSettings } from "../../../src/config/resolve-settings.ts";
import { withSeed } from "../../support/property.ts";
import { settingsFrom } from "./settings.ts";

test("with the partition alone, all options have the defaults that scripts rely on", () => {
  expect(settingsFrom({})).toEqual({
    partition: ["202501"],
    keepGoing: false,
    oldestFirst: false,
    includeCurrent: false,
    maxRate: null,
    pauseWhen: null,
    maxActiveParts: null,
    logFormat: "text",
    quiet: false,
    summaryFile: null,
    statusAddress: null,
    statusTokenFile: null,
    watch: false,
    clickhouseUrl: "http://localhost:8123",
    clickhouseUser: "default",
    clickhousePassword: "",
    clickhousePasswordFile: null,
    clickhouseDb: "default",
    caCert: null,
    clientCert: null,
    clientKey: null,
    batchSize: 10_000,
    insertRows: 250_000,
    ignoreTtl: false,
    restart: false,
    streamBlockSize: 50_000,
    dryRun: false,
    maxRetries: 3,
    maxWaitMinutes: 30,
    skipBadRows: null,
    cursorStateDir: ".",
    parallelWorkers: 4,
    engine: "client",
    serverMemory: null,
    compression: "none",
    traceWindowDays: 2,
    sourceTable: "observations",
    tracesTable: "traces",
    targetTable: "events",
    datasetRunItemsTable: "dataset_run_items_rmt",
    layout: "auto",
    only: ["roots", "observations", "experiments"],
    allowMissingView: false,
    quick: false,
    ignoreNewer: false,
    examples: 5,
    report: null,
    json: false,
    logLevel: "info",
  });
});

const TOGGLES = [
  ["true", true],
  ["0", false],
  ["TRUE", true],
] as const;

/** Different valid texts for each option, and what they mean. */
const SAMPLES: { readonly [Name in keyof Settings]: readonly (readonly [string, Settings[Name]])[] } = {
  partition: [
    ["190001..190003,229912", ["190001", "190002", "190003", "229912"]],
    ["ALL", "all"],
    ["202403,202312..202401,202403", ["202312", "202401", "202403"]],
  ],
  keepGoing: TOGGLES,
  oldestFirst: TOGGLES,
  includeCurrent: TOGGLES,
  maxRate: [
    ["20MB", { unit: "bytes", perSecond: 20_000_000 }],
    ["1.5 gb/s", { unit: "bytes", perSecond: 1_500_000_000 }],
    ["5000rows", { unit: "rows", perSecond: 5_000 }],
  ],
  pauseWhen: [
    ["SELECT 1", "SELECT 1"],
    ["SELECT count() > 5 FROM system.processes;", "SELECT count() > 5 FROM system.processes;"],
    ["x", "x"],
  ],
  maxActiveParts: [
    ["1", 1],
    ["1000000", 1_000_000],
    ["300", 300],
  ],
  logFormat: [
    ["json", "json"],
    ["TEXT", "text"],
    ["Json", "json"],
  ],
  quiet: TOGGLES,
  statusAddress: [
    ["127.0.0.1:9363", { host: "127.0.0.1", port: 9363 }],
    ["[::1]:0", { host: "::1", port: 0 }],
    ["Backfill.internal:80", { host: "backfill.internal", port: 80 }],
  ],
  statusTokenFile: [
    ["/run/secrets/token", "/run/secrets/token"],
    ["token", "token"],
    ["./t", "./t"],
  ],
  summaryFile: [
    ["s.json", "s.json"],
    ["/tmp/s", "/tmp/s"],
    ["ü", "ü"],
  ],
  watch: TOGGLES,
  clickhouseUrl: [
    ["http://a:1", "http://a:1"],
    ["https://b/", "https://b"],
    ["HTTP://C:80", "http://c"],
  ],
  clickhouseUser: [
    ["u1", "u1"],
    ["ü 2", "ü 2"],
    ["u'3", "u'3"],
  ],
  clickhousePassword: [
    ["p1", "p1"],
    ["-p 2=", "-p 2="],
    ["$p3", "$p3"],
  ],
  // Both at once are refused; password-file.test.ts has their precedence.
  clickhousePasswordFile: [],
  clickhouseDb: [
    ["d1", "d1"],
    ["d-2", "d-2"],
    ["d.3", "d.3"],
  ],
  caCert: [
    ["ca.pem", "ca.pem"],
    ["/etc/a b/ca.pem", "/etc/a b/ca.pem"],
    ["ü.pem", "ü.pem"],
  ],
  clientCert: [
    ["c.pem", "c.pem"],
    ["./c", "./c"],
    ["-c", "-c"],
  ],
  clientKey: [
    ["k.pem", "k.pem"],
    ["./k", "./k"],
    ["k'3", "k'3"],
  ],
  batchSize: [
    ["1", 1],
    ["1000000", 1_000_000],
    ["007", 7],
  ],
  insertRows: [
    ["1", 1],
    ["100000000", 100_000_000],
    ["5000", 5000],
  ],
  engine: [
    ["client", "client"],
    ["SERVER", "server"],
    ["Client", "client"],
  ],
  serverMemory: [
    ["1", 1],
    ["4000000000", 4_000_000_000],
    ["007", 7],
  ],
  quick: [
    ["true", true],
    ["0", false],
    ["TRUE", true],
  ],
  ignoreNewer: [
    ["true", true],
    ["0", false],
    ["TRUE", true],
  ],
  examples: [
    ["0", 0],
    ["1000", 1000],
    ["7", 7],
  ],
  report: [
    ["differences.jsonl", "differences.jsonl"],
    ["/tmp/r e", "/tmp/r e"],
    ["-", "-"],
  ],
  json: [
    ["true", true],
    ["0", false],
    ["TRUE", true],
  ],
  restart: [
    ["true", true],
    ["0", false],
    ["TRUE", true],
  ],
  ignoreTtl: [
    ["true", true],
    ["0", false],
    ["TRUE", true],
  ],
  streamBlockSize: [
    ["1", 1],
    ["10000000", 10_000_000],
    ["50", 50],
  ],
  dryRun: [
    ["true", true],
    ["FALSE", false],
    ["1", true],
  ],
  maxWaitMinutes: [
    ["0", 0],
    ["10080", 10_080],
    ["5", 5],
  ],
  skipBadRows: [
    ["bad.jsonl", "bad.jsonl"],
    ["/tmp/b a d", "/tmp/b a d"],
    ["-", "-"],
  ],
  maxRetries: [
    ["0", 0],
    ["100", 100],
    ["5", 5],
  ],
  cursorStateDir: [
    ["/a", "/a"],
    ["b c", "b c"],
    ["../d", "../d"],
  ],
  parallelWorkers: [
    ["1", 1],
    ["256", 256],
    ["8", 8],
  ],
  compression: [
    ["zstd", "zstd"],
    ["GZIP", "gzip"],
    ["none", "none"],
  ],
  traceWindowDays: [
    ["0", 0],
    ["31", 31],
    ["7", 7],
  ],
  sourceTable: [
    ["s1", "s1"],
    ["s.2", "s.2"],
    ["s`3", "s`3"],
  ],
  tracesTable: [
    ["t1", "t1"],
    ["t.2", "t.2"],
    ["t`3", "t`3"],
  ],
  targetTable: [
    ["e1", "e1"],
    ["e.2", "e.2"],
    ["e`3", "e`3"],
  ],
  datasetRunItemsTable: [
    ["i1", "i1"],
    ["i.2", "i.2"],
    ["i`3", "i`3"],
  ],
  layout: [
    ["events", "events"],
    ["V4", "v4"],
    ["auto", "auto"],
  ],
  only: [
    ["roots", ["roots"]],
    ["Experiments, observations", ["observations", "experiments"]],
    ["observations", ["observations"]],
  ],
  allowMissingView: [
    ["true", true],
    ["0", false],
    ["1", true],
  ],
  logLevel: [
    ["debug", "debug"],
    ["WARN", "warn"],
    ["error", "error"],
  ],
};

const DEFAULTS = settingsFrom({});

test("a flag beats the environment, that beats .env, that beats the default, for every option", () => {
  withSeed(200, (random) => {
    const flags = new Map<string, string>();
    const environment: Record<string, string> = {};
    const dotenvLines: string[] = [];
    const expected: Record<string, unknown> = { ...DEFAULTS };
    const command = random.below(2) === 0 ? "run" : "verify";
    const given = new Set<string>();
    for (const [name, spec] of OPTION_LIST) {
      if (SAMPLES[name].length === 0 || !takesOption(command, spec)) continue;
      const [byFlag, byEnvironment, byDotenv] = random.shuffle<readonly [string, unknown]>(SAMPLES[name]);
      if (byFlag === undefined || byEnvironment === undefined || byDotenv === undefined)
        throw new Error(name);
      // A required option must come from somewhere.
      const places = spec.default === null ? 1 + random.below(7) : random.below(8);
      if (places & 1) {
        dotenvLines.push(`${spec.variable}="${byDotenv[0]}"`);
        expected[name] = byDotenv[1];
      }
      if (places & 2) {
        environment[spec.variable] = byEnvironment[0];
        expected[name] = byEnvironment[1];
      } else if (random.below(2) === 0) environment[spec.variable] = "";
      if (places & 4 && spec.flag !== null) {
        flags.set(spec.flag, byFlag[0]);
        expected[name] = byFlag[1];
      }
      if (spec.default === null && expected[name] === DEFAULTS.partition) {
        flags.set("partition", "202501");
      }
      if (places > 0) given.add(name);
    }
    const dotenv = parseDotenv(random.shuffle(dotenvLines).join("\n"));
    if (expected["engine"] === "server" && !given.has("parallelWorkers")) expected["parallelWorkers"] = 2;
    expect(resolveSettings({ flags, environment, dotenv }, command)).toEqual(expected as Settings);
  });
});

test("with the engine server two statements run at a time, unless a number is given", () => {
  expect(settingsFrom({ flags: { engine: "server" } }).parallelWorkers).toBe(2);
  expect(settingsFrom({ flags: { engine: "server", "parallel-workers": "4" } }).parallelWorkers).toBe(4);
});

test("what another command is set to has no effect, be it valid or not", () => {
  const environment = { VERIFY_EXAMPLES: "many", BATCH_SIZE: "0" };
  expect(settingsFrom({ environment: { VERIFY_EXAMPLES: "many" } })).toEqual(DEFAULTS);
  expect(settingsFrom({ command: "verify", environment: { BATCH_SIZE: "0" } })).toEqual(DEFAULTS);
  for (const command of ["run", "verify"] as const) {
    expect(() => settingsFrom({ command, environment })).toThrow(
      command === "run" ? "BATCH_SIZE" : "VERIFY_EXAMPLES",
    );
  }
});

describe("empty values", () => {
  test("an empty variable gives way to the next source", () => {
    expect(
      settingsFrom({ environment: { CLICKHOUSE_USER: "" }, dotenv: "CLICKHOUSE_USER=file" }),
    ).toMatchObject({
      clickhouseUser: "file",
    });
    expect(settingsFrom({ dotenv: "CLICKHOUSE_USER=" })).toMatchObject({ clickhouseUser: "default" });
  });

  test("an empty flag is a value: it takes the password of the environment away", () => {
    const environment = { CLICKHOUSE_PASSWORD: "secret" };
    expect(settingsFrom({ flags: { "clickhouse-password": "" }, environment })).toMatchObject({
      clickhousePassword: "",
    });
  });
});

describe("the log level", () => {
  test.each([
    ["debug", "debug"],
    ["WARN", "warn"],
    ["off", "error"],
    ["clickhouse_backfill=debug,info", "debug"],
    ["info,clickhouse_backfill=debug", "debug"],
    ["clickhouse_backfill::stream=trace", "trace"],
    ["clickhouse-backfill=error", "error"],
    ["clickhouse_backfill", "trace"],
    ["hyper=debug,warn", "warn"],
    ["hyper=debug", "info"],
    ["clickhouse_backfill=loud,warn", "warn"],
    ["debug/regex,error", "debug"],
    ["nonsense", "info"],
    [",,=", "info"],
  ] as const)("RUST_LOG=%s means %s", (value, level) => {
    expect(settingsFrom({ environment: { RUST_LOG: value } }).logLevel).toBe(level);
  });

  test("LOG_LEVEL beats RUST_LOG from the same source, and the environment beats .env", () => {
    const both = { LOG_LEVEL: "error", RUST_LOG: "debug" };
    expect(settingsFrom({ environment: both }).logLevel).toBe("error");
    expect(settingsFrom({ environment: { RUST_LOG: "debug" }, dotenv: "LOG_LEVEL=error" }).logLevel).toBe(
      "debug",
    );
    expect(settingsFrom({ dotenv: "RUST_LOG=debug" }).logLevel).toBe("debug");
  });
});
