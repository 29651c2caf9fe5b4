import { expect, test } from "vitest";
import { hostAndPort, parseControllerUrl } from "./controller-url.ts";

test.each([
  ["wss://controller.example.com:7443", "wss://controller.example.com:7443", "controller.example.com", 7443],
  ["wss://10.0.0.1:7443/", "wss://10.0.0.1:7443", "10.0.0.1", 7443],
  ["wss://[::1]:7443", "wss://[::1]:7443", "::1", 7443],
  ["wss://controller", "wss://controller", "controller", 443],
])("%s", (text, url, host, port) => {
  expect(parseControllerUrl(text)).toBe(url);
  expect(hostAndPort(url)).toEqual({ host, port });
});

test.each([
  ["controller:7443", "begins with controller:"],
  ["https://controller:7443", "begins with https:"],
  ["ws://controller:7443", "begins with ws:"],
  ["wss://controller:7443/agent", "more than a host and a port"],
  ["wss://ada:secret@controller:7443", "user name"],
  ["wss://", "is not an address"],
])("%s is refused", (text, reason) => {
  expect(() => parseControllerUrl(text)).toThrow(reason);
  expect(() => parseControllerUrl(text)).toThrow("write it like wss://");
});
