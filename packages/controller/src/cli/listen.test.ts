import { expect, test } from "vitest";
import { isLocal, listenText, parseListen } from "./listen.ts";

test.each([
  ["0.0.0.0:7443", { host: "0.0.0.0", port: 7443 }, true],
  ["[::]:7443", { host: "::", port: 7443 }, true],
  ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }, true],
  ["10.0.0.1:1", { host: "10.0.0.1", port: 1 }, false],
  ["controller.example.com:65535", { host: "controller.example.com", port: 65_535 }, false],
])("%s", (text, listen, local) => {
  expect(parseListen(text)).toEqual(listen);
  expect(listenText(listen)).toBe(text);
  expect(isLocal(listen)).toBe(local);
});

test.each(["", "7443", "host", "::1:7443", "host:65536", "host:x", ":7443"])("%j is none", (text) =>
  expect(() => parseListen(text)).toThrow("is not HOST:PORT"),
);
