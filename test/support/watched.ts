import type { DirectoryStatus, LiveRunJson } from "../../src/control/status-json.ts";

/** A port on which nobody listens at the moment. */
export async function freePort(): Promise<number> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  if (port === undefined) throw new Error("no port");
  return port;
}

/** The status page of a run, as programs ask for it. */
export class WatchedRun {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(port: number, headers: Readonly<Record<string, string>> = {}) {
    this.url = `http://127.0.0.1:${port}`;
    this.headers = headers;
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return await fetch(this.url + path, { headers: { ...this.headers, ...headers } });
  }

  async status(path = "/api/status"): Promise<DirectoryStatus> {
    const response = await this.get(path);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as DirectoryStatus;
  }

  async run(path?: string): Promise<LiveRunJson> {
    const [run] = (await this.status(path)).runs;
    if (run === undefined) throw new Error("the page shows no run");
    return run;
  }

  /** Waits for updates until the run has ended; throws where it ends without a word. */
  async end(): Promise<NonNullable<LiveRunJson["ended"]>> {
    for (;;) {
      const { ended } = await this.run("/api/status?wait");
      if (ended !== null) return ended;
    }
  }
}
