import { Facts } from "@outpost/protocol";
import * as v from "valibot";
import { expect, test } from "vitest";
import { gatherFacts, parseOsRelease } from "./facts.ts";

test("this host's facts fit the protocol", async () => {
  expect(v.parse(Facts, await gatherFacts("boot"))).toMatchObject({
    bootId: "boot",
    platform: process.platform,
  });
});

test.each([
  ['ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "Debian GNU/Linux 12 (bookworm)"],
  ["PRETTY_NAME='Alpine Linux v3.20'", "Alpine Linux v3.20"],
  ["PRETTY_NAME=Void", "Void"],
  ['PRETTY_NAME="The \\"Best\\" \\$ix"', 'The "Best" $ix'],
  ["ID=none\n", "Linux"],
  ["PRETTY_NAME=\nID=x", "Linux"],
])("os-release %j", (text, name) => expect(parseOsRelease(text)).toBe(name));
