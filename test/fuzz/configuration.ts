import { type ArgsDef, parseArgs } from "citty";
import { readArgv } from "../../src/commands/argv.ts";
import { type DotenvFile, parseDotenv } from "../../src/config/dotenv.ts";
import { OPTION_LIST, type Settings } from "../../src/config/options.ts";
import { resolveSettings } from "../../src/config/resolve-settings.ts";
import { UsageError } from "../../src/errors.ts";
import type { Random } from "../support/data/random.ts";
import { isPlainLine } from "./plain-line.ts";
import { demand, type FuzzTarget } from "./target.ts";

const SPECS = OPTION_LIST.map(([, spec]) => spec);
const FLAGS = SPECS.flatMap(({ flag }) => (flag === null ? [] : [flag]));
const VARIABLES = [...SPECS.map(({ variable }) => variable), "RUST_LOG"];

const VALUES = [
  ...[
    "202501",
    "202513",
    "229912",
    "1",
    "0",
    "-1",
    "1e3",
    "0x10",
    "9".repeat(40),
    "true",
    "no",
    "",
    " ",
    "-",
    "--",
    "=",
  ],
  ...[
    "http://host:8123",
    "https://[::1]:8443/",
    "http://h/p?q#f",
    "http://\ud800",
    "HTTP://H",
    "http://h:99999",
    "//h",
  ],
  ...[
    "http://user:SECRET@host",
    "http://host/?password=SECRET",
    "user:SECRET@host",
    "http://a@b@SECRET@c",
    "ftp://SECRET@h",
  ],
  ...[
    "\0",
    "\n",
    "\r\n",
    "\x1b[31m",
    "\x9b",
    "\u2028",
    "\ud800",
    "é",
    "__proto__",
    "constructor",
    "toString",
    "`;--",
    "$HOME",
  ],
  ...[
    "'quoted'",
    '"quoted"',
    "# none",
    "\\",
    "/no/such",
    "debug",
    "WARN",
    "a=b,c",
    "clickhouse_backfill=trace",
  ],
];

/** Mixes a secret into odd texts, so that a test can search for it. */
function oddValue(random: Random, secret: string): string {
  const value = random.pick(VALUES).replaceAll("SECRET", secret);
  return random.chance(0.2) ? value + random.pick(VALUES).replaceAll("SECRET", secret) : value;
}

/** A password, mostly odd itself. */
function oddPassword(random: Random, secret: string): string {
  return random.pick([
    secret,
    `-${secret}`,
    `--${secret}`,
    `--${secret}=1`,
    ` ${secret} `,
    `'${secret}`,
    `a\n${secret}`,
    `=${secret}`,
  ]);
}

function argument(random: Random, secret: string): string[] {
  const flag = `--${random.pick(FLAGS)}`;
  const password = oddPassword(random, secret);
  switch (random.below(8)) {
    case 0:
      return [`--clickhouse-password=${password}`];
    case 1:
      return ["--clickhouse-password", password];
    // As other clients take it, and with the typing errors that people make.
    case 2:
      return random.pick([
        [`-p${secret}`],
        [`--clickhouse-password${secret}`],
        [`--clickhouse-pasword=${password}`],
        [`--password=${password}`],
        ["--clickhouse-password", secret.slice(0, 4), secret],
      ]);
    case 3:
      return [`${flag.slice(0, 3 + random.below(flag.length))}${random.pick(["", "=", "x", "=1"])}`];
    case 4:
      return [
        random.pick([
          "run",
          "-h",
          "--help",
          "--version",
          "--no-dry-run",
          "--",
          "-",
          "-x",
          "--dry-run",
          "completion",
        ]),
      ];
    case 5:
      return [flag, oddValue(random, secret)];
    default:
      return [`${flag}=${oddValue(random, secret)}`];
  }
}

function variables(random: Random, secret: string): Record<string, string> {
  const chosen: Record<string, string> = random.chance(0.7) ? { PARTITION: "202501" } : {};
  for (let left = random.below(4); left > 0; left--)
    chosen[random.pick(VARIABLES)] = oddValue(random, secret);
  if (random.chance(0.3)) chosen["CLICKHOUSE_PASSWORD"] = oddPassword(random, secret);
  return chosen;
}

function dotenvText(random: Random, secret: string): string {
  const lines = Object.entries(variables(random, secret)).map(([name, value]) => {
    const quote = random.pick(["", "'", '"', "`"]);
    return `${random.pick(["", "export ", " "])}${name}${random.pick(["=", " = ", ":", ""])}${quote}${value}${quote}`;
  });
  return lines.join(random.pick(["\n", "\r\n", "\r"]));
}

const ARGS: ArgsDef = Object.fromEntries(FLAGS.map((flag) => [flag, { type: "string" }]));

/** The flags of the command line, which citty must hand on as they are. */
function flagsOf(argv: readonly string[]): Map<string, string> | null {
  const invocation = readArgv(argv);
  if (invocation.kind !== "command" || invocation.name !== "run") return null;
  const parsed = parseArgs([...invocation.args], ARGS) as Record<string, unknown>;
  const flags = new Map<string, string>();
  for (const arg of invocation.args) {
    const equals = arg.indexOf("=");
    const [flag, value] = [arg.slice(2, equals), arg.slice(equals + 1)];
    demand(
      parsed[flag] === value,
      () => `citty makes ${JSON.stringify(parsed[flag])} of ${JSON.stringify(arg)}`,
    );
    flags.set(flag, value);
  }
  return flags;
}

/** Whether the settings are what the options promise, checked independently of them. */
function checkSettings(settings: Settings): void {
  const { clickhouseUrl, clickhousePassword, clickhousePasswordFile, partition } = settings;
  const isMonths =
    partition === "all" ||
    (partition.length > 0 && partition.every((month) => /^\d{4}(0[1-9]|1[0-2])$/.test(month)));
  demand(isMonths, () => `Partition ${partition}`);
  const url = new URL(clickhouseUrl);
  const isOrigin = url.origin === clickhouseUrl && url.username === "" && url.password === "";
  demand(isOrigin && /^https?:$/.test(url.protocol), () => `URL ${clickhouseUrl}`);
  demand(clickhousePassword === "" || clickhousePasswordFile === null, () => "Both password and file");
  for (const [name, value] of Object.entries(settings)) {
    const isFine =
      typeof value === "number" ? Number.isSafeInteger(value) && value >= 0 : value !== undefined;
    demand(isFine, () => `${name} is ${String(value)}`);
  }
  const tables = [settings.sourceTable, settings.targetTable, settings.clickhouseDb, settings.clickhouseUser];
  demand(tables.every((name) => name !== "") && tables[0] !== tables[1], () => "Empty or equal names");
}

/** Command line, environment and `.env`: wrong usage in one line that shows no password, or settings that are valid. */
export const CONFIGURATION: FuzzTarget = {
  name: "configuration",
  share: 100_000,
  run: (random) => {
    const secret = `Zq${random.hex(12)}`;
    const argv = Array.from({ length: random.below(5) }, () => argument(random, secret)).flat();
    const environment = variables(random, secret);
    const text = dotenvText(random, secret);
    let dotenv: DotenvFile;
    try {
      dotenv = parseDotenv(text);
      const flags = flagsOf(argv);
      if (flags !== null) checkSettings(resolveSettings({ flags, environment, dotenv }));
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message } = error;
      demand(!message.includes(secret.slice(0, 8)), () => `The secret is shown: ${message}`);
      demand(isPlainLine(message), () => `Not one plain line: ${JSON.stringify(message)}`);
      demand(message.length < 1000, () => `A message of ${message.length} characters`);
    }
  },
};
