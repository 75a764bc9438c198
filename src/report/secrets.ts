import { inspect } from "node:util";

const HIDDEN = "***";

/** Shorter texts are found in everything, so that hiding them would hide the messages instead. */
const MIN_LENGTH = 4;

/** ClickHouse's header with the password, as clients and servers spell it. */
const HEADERS = ["X-ClickHouse-Key", "x-clickhouse-key"];

/**
 * Keeps secrets out of what is written. This program's own messages have none; what a server, a proxy or a library says
 * may repeat a request, credentials included.
 */
export class Secrets {
  #forms: readonly string[] = [];

  /**
   * Hides a password from now on, as it is, as URLs, JSON and stack traces spell it, and as headers hold it (ClickHouse's
   * own, and https://www.rfc-editor.org/rfc/rfc7617). A password that occurs in `publicText` is hidden in the last forms
   * only: hiding it everywhere would reveal it where it is the user's name, and garble the rest.
   */
  hidePassword(user: string, password: string, publicText: string): void {
    if (password === "") return;
    const isTellable = password.length >= MIN_LENGTH && !publicText.includes(password);
    const sent = HEADERS.map((header) => `${header}: ${password}`);
    const forms = [...base64Of(`${user}:${password}`), ...(isTellable ? spellingsOf(password) : sent)];
    this.#hide(forms);
  }

  /** Hides a text from now on, as it is and as headers hold it. */
  hideText(text: string): void {
    this.#hide([text, ...base64Of(text)]);
  }

  /** A JSON value whose texts are without the secrets. Its numbers stay what they are, since digits may be a secret as well. */
  redactTexts<Json>(value: Json): Json {
    const redacted = JSON.stringify(value, (_, part: unknown) =>
      typeof part === "string" ? this.redact(part) : part,
    );
    return JSON.parse(redacted) as Json;
  }

  /** The text without the secrets. */
  redact(text: string): string {
    return this.#forms.reduce((redacted, form) => redacted.replaceAll(form, HIDDEN), text);
  }

  #hide(forms: readonly string[]): void {
    // The longest first: a form may be part of another.
    this.#forms = [...new Set([...this.#forms, ...forms])].sort((a, b) => b.length - a.length);
  }
}

function spellingsOf(password: string): string[] {
  const escaped = [JSON.stringify(password), inspect(password)].map((quoted) => quoted.slice(1, -1));
  return [password, ...escaped, ...percentEncoded(password), ...base64Of(password)];
}

function percentEncoded(password: string): string[] {
  // A lone surrogate has no percent-encoding.
  const text = password.toWellFormed();
  const userInfo = new URL("http://host");
  userInfo.password = text;
  const encoded = [
    encodeURIComponent(text),
    userInfo.password,
    new URLSearchParams({ "": text }).toString().slice(1),
  ];
  return [...encoded, ...encoded.map((form) => form.replace(/%[\dA-F]{2}/g, (code) => code.toLowerCase()))];
}

/** With and without the padding, which is no secret. */
function base64Of(text: string): string[] {
  const padded = Buffer.from(text).toString("base64");
  return [padded, padded.replace(/=+$/, ""), Buffer.from(text).toString("base64url")];
}
