import { newOperatorId, OperatorName, OutpostError } from "@outpost/protocol";
import fc from "fast-check";
import * as v from "valibot";
import { expect, test } from "vitest";
import { decodeBundle, encodeBundle, isBundle, type SignInBundle } from "./sign-in-bundle.ts";

const bundle: SignInBundle = {
  controller: "wss://outpost.example.com:7443",
  id: newOperatorId(),
  name: v.parse(OperatorName, "ada@example.com"),
  ca: "-----BEGIN CERTIFICATE-----\nCA\n-----END CERTIFICATE-----\n",
  operators: "-----BEGIN CERTIFICATE-----\nOPERATORS\n-----END CERTIFICATE-----\n",
  invitation: { certificate: "INVITATION\n", key: "SECRETKEY\n" },
  expiresAt: 1_800_000_000_000,
};
const text = encodeBundle(bundle);

test("a bundle is one word, and is read again", () => {
  expect(text).toMatch(/^outpost-signin1_[A-Za-z0-9_-]+$/);
  expect(decodeBundle(text)).toEqual(bundle);
  expect(isBundle(text)).toBe(true);
  expect(isBundle("ada.bundle")).toBe(false);
});

test("line breaks and blanks, wherever a mail puts them, do no harm", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(text.length), fc.constantFrom("\n", "\r\n", " ", "\t"))),
      (breaks) => {
        let broken = text;
        for (const [at, blank] of breaks) broken = broken.slice(0, at) + blank + broken.slice(at);
        expect(decodeBundle(broken)).toEqual(bundle);
      },
    ),
  );
});

test("one that was cut off is damaged, wherever it was", () => {
  fc.assert(
    fc.property(fc.nat(text.length - 2), (length) => {
      expect(() => decodeBundle(text.slice(0, length))).toThrow(OutpostError);
    }),
  );
});

test("a wrong character is noticed, or changes what is signed; nothing of the bundle is in the message", () => {
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      fc.pre(character !== text[at] && character.trim() !== "");
      try {
        expect(decodeBundle(text.slice(0, at) + character + text.slice(at + 1))).not.toEqual(bundle);
      } catch (error) {
        if (!(error instanceof OutpostError)) throw error;
        expect(error.code).toBe("invalid_argument");
        expect(error.message).toMatch(/damaged|no sign-in bundle/);
        expect(error.message).not.toContain("SECRET");
      }
    }),
  );
});

test.each([
  "",
  "outpost2_abc",
  "outpost-signin1_",
  encodeBundle({ ...bundle, controller: "https://x" }),
  encodeBundle({ ...bundle, name: "a b" as OperatorName }),
  encodeBundle({ ...bundle, expiresAt: 0.5 }),
])("%j is refused", (bad) => {
  expect(() => decodeBundle(bad)).toThrow(/damaged|no sign-in bundle/);
});
