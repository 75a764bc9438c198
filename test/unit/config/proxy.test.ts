import { describe, expect, test } from "bun:test";
import { proxyFor } from "../../../src/config/proxy.ts";
import { messageOf } from "./settings.ts";

const HTTP = "http://clickhouse.example.com:8123";
const HTTPS = "https://clickhouse.example.com";
const PROXY = { host: "proxy", port: 3128, credentials: null };

describe("a proxy", () => {
  test("is chosen by the protocol of the URL", () => {
    const environment = { HTTP_PROXY: "http://plain:1", HTTPS_PROXY: "http://secure:2" };
    expect(proxyFor(HTTP, environment)).toEqual({ host: "plain", port: 1, credentials: null });
    expect(proxyFor(HTTPS, environment)).toEqual({ host: "secure", port: 2, credentials: null });
    expect(proxyFor(HTTP, { HTTPS_PROXY: "http://secure:2" })).toBeNull();
  });

  test("is named in small letters before capitals, without protocol or port, and with credentials", () => {
    expect(proxyFor(HTTP, { http_proxy: "proxy:3128", HTTP_PROXY: "http://other" })).toEqual(PROXY);
    expect(proxyFor(HTTP, { http_proxy: "http://[fd00::1]" })).toMatchObject({ host: "fd00::1", port: 80 });
    expect(proxyFor(HTTP, { http_proxy: "http://a%40b:p%3Aq@proxy:3128" })).toEqual({
      ...PROXY,
      credentials: "a@b:p:q",
    });
  });

  test.each(["http://localhost:8123", "http://127.0.0.1:8123", "http://[::1]:8123", "http://db.localhost"])(
    "is not used for this machine: %s",
    (url) => expect(proxyFor(url, { HTTP_PROXY: "http://proxy:3128" })).toBeNull(),
  );

  test.each([
    ["*", true],
    ["clickhouse.example.com", true],
    ["other.com, example.com", true],
    [".example.com", true],
    ["*.example.com", true],
    ["EXAMPLE.COM:8123", true],
    ["example.com:9000", false],
    ["house.example.com", false],
    ["ample.com", false],
    ["", false],
  ])("is not used for hosts that NO_PROXY names: %j, %p", (noProxy, isExcluded) => {
    const proxy = proxyFor(HTTP, { HTTP_PROXY: "http://proxy:3128", NO_PROXY: noProxy });
    expect(proxy).toEqual(isExcluded ? null : PROXY);
  });

  test.each(["https://proxy:3128", "socks5://proxy:1080", "http://"])(
    "of another kind is refused: %s",
    (text) => {
      expect(messageOf(() => proxyFor(HTTPS, { HTTPS_PROXY: text }))).toBe(
        "HTTPS_PROXY: expected an HTTP proxy such as http://proxy.example.com:3128; NO_PROXY=clickhouse.example.com goes past it",
      );
    },
  );
});
