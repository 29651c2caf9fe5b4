import fc from "fast-check";
import { HostName } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { defaultHostName, parseLabels } from "./join.ts";

test.each([
  ["web1.example.com", "web1"],
  ["Ada's MacBook.local", "ada-s-macbook"],
  ["-_x", "x"],
  ["...", "host"],
  ["", "host"],
])("a host called %j joins as %s", (system, name) => expect(defaultHostName(system)).toBe(name));

test("whatever the host is called, its default name is valid", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (system) => v.is(HostName, defaultHostName(system))));
});

test("labels", () => {
  expect(parseLabels(["role=web", "note=a=b", "empty="])).toEqual({ role: "web", note: "a=b", empty: "" });
});

test.each([
  ["role", "is not KEY=VALUE"],
  ["=web", "is not KEY=VALUE"],
  ["Role=web", "is not a label key"],
])("label %j is refused", (text, reason) => expect(() => parseLabels([text])).toThrow(reason));

test("a label given twice is refused", () => {
  expect(() => parseLabels(["role=web", "role=db"])).toThrow('"role=db" is given twice');
});
