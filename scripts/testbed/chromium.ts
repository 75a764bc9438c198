import { type Browser, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Starts a headless Chromium of this machine. Throws where there is none, and says what to install. */
export async function startChromium(): Promise<Browser> {
  const executablePath = NAMES.map((name) => Bun.which(name)).find((path) => path !== null);
  if (executablePath === undefined)
    throw new Error("Chromium is missing. Debian and Ubuntu: apt-get install chromium");
  return await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
  });
}

/** What a page must not do, as it was noticed. */
export interface Noticed {
  /** Messages of the console, and errors that nobody caught. */
  readonly messages: string[];
  /** Requests to other hosts. */
  readonly outside: string[];
}

/** Watches what a page says, and whom it asks; before it goes anywhere. */
export function notice(page: Page, origin: string): Noticed {
  const noticed: Noticed = { messages: [], outside: [] };
  page.on("console", (message) => noticed.messages.push(message.text()));
  page.on("pageerror", (error) => noticed.messages.push(String(error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith("data:")) noticed.outside.push(url);
  });
  return noticed;
}
