import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEPLOY_FOLDER, deployArchive, deployFiles } from "../../scripts/release/deploy-files.ts";
import { type CliOutcome, startCommand } from "../support/cli.ts";
import {
  archiveOf,
  INSTALL_SCRIPT,
  PROGRAM_TEXT,
  ReleaseServer,
  scratch,
  toolDirectory,
  USUAL_TOOLS,
  unameOf,
} from "../support/install.ts";

const ROOT = join(import.meta.dir, "../..");

let server: ReleaseServer;
beforeAll(async () => {
  server = await ReleaseServer.start();
});
afterAll(() => server[Symbol.dispose]());

describe("the image's program", () => {
  /** What the Dockerfile runs, in an empty folder. */
  async function download(
    folder: string,
    { processor, version }: { processor: string; version: string },
  ): Promise<CliOutcome> {
    const dockerfile = readFileSync(join(ROOT, "deploy/Dockerfile"), "utf8");
    const [, commands] = /^RUN ((?:.*\\\n)*.*\n)/m.exec(dockerfile) ?? [];
    if (commands === undefined) throw new Error("the Dockerfile runs nothing");
    const environment = {
      PATH: process.env["PATH"] ?? "",
      RELEASES: server.url,
      VERSION: version,
      TARGETARCH: processor,
    };
    return await startCommand(["bash", "-eo", "pipefail", "-c", commands], { cwd: folder, environment })
      .outcome;
  }

  test.each([
    ["amd64", "latest", "linux-x64"],
    ["arm64", "v9.9.9", "linux-arm64"],
  ])("for %s and %s is that of the release", async (processor, version, target) => {
    const archive = await archiveOf(target, PROGRAM_TEXT);
    server.publish(version, { [`clickhouse-backfill-${target}.tar.gz`]: archive, other: "another" });
    const folder = scratch("image");
    expect(await download(folder, { processor, version })).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, "clickhouse-backfill"), "utf8")).toBe(PROGRAM_TEXT);
  });

  test("is not taken with a wrong checksum", async () => {
    const name = "clickhouse-backfill-linux-x64.tar.gz";
    server.publish("v1.0.0", { [name]: await archiveOf("linux-x64", PROGRAM_TEXT) }, name);
    const outcome = await download(scratch("image"), { processor: "amd64", version: "v1.0.0" });
    expect(outcome.code).not.toBe(0);
    expect(outcome.stdout).toContain(`${name}: FAILED`);
  });
});

test("the user data of EC2 install program, unit and variables, and start the service", async () => {
  const root = scratch("ec2");
  for (const folder of ["etc/systemd/system", "usr/local/bin"])
    mkdirSync(join(root, folder), { recursive: true });
  const files = await deployFiles(ROOT, { baseUrl: server.url, image: "example.com/image:1" });
  server.publish("latest", {
    "clickhouse-backfill-linux-x64": PROGRAM_TEXT,
    [`${DEPLOY_FOLDER}.tar.gz`]: deployArchive(files, 0),
    "install.sh": readFileSync(INSTALL_SCRIPT, "utf8").replace("@BASE_URL@", server.url),
  });
  const script = String(files.find(({ name }) => name.endsWith("/ec2-user-data.sh"))?.content);
  writeFileSync(join(root, "user-data"), script.replaceAll(/(?<=[ >])\/(?=etc\/|usr\/)/g, `${root}/`));
  const password = `a"b\\c$d\`e'f g`;
  const tools = toolDirectory([...USUAL_TOOLS, "bash"], {
    ...unameOf("Linux", "x86_64"),
    aws: { script: `cat ${join(root, "password")}` },
    systemctl: { script: `echo "$@" >> ${join(root, "systemctl")}` },
  });
  writeFileSync(join(root, "password"), `${password}\n`);

  const command = [Bun.which("bash") ?? "", join(root, "user-data")];
  const outcome = await startCommand(command, { cwd: root, environment: { PATH: tools } }).outcome;
  expect(outcome).toMatchObject({ code: 0, stderr: "" });
  expect(readFileSync(join(root, "usr/local/bin/clickhouse-backfill"), "utf8")).toBe(PROGRAM_TEXT);
  expect(readFileSync(join(root, "etc/systemd/system/clickhouse-backfill.service"), "utf8")).toBe(
    readFileSync(join(ROOT, "deploy/clickhouse-backfill.service"), "utf8"),
  );
  const variables = join(root, "etc/clickhouse-backfill.env");
  expect(statSync(variables).mode & 0o777).toBe(0o600);
  expect(readFileSync(variables, "utf8").split("\n")).toContain(`CLICKHOUSE_PASSWORD="a\\"b\\\\c$d\`e'f g"`);
  expect(readFileSync(join(root, "systemctl"), "utf8")).toBe(
    "daemon-reload\nenable --now clickhouse-backfill\n",
  );
});
