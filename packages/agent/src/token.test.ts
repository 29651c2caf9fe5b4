import { ErrorCode } from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseToken } from "./token.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test("a token is two fingerprints and a secret", () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), bytes(24), (authority, operators, secret) => {
      const body = Buffer.concat([authority, operators, secret]).toString("base64url");
      const token = parseToken(` outpost2_${body}\n`);
      expect(Buffer.from(authority).equals(token.fingerprint)).toBe(true);
      expect(Buffer.from(operators).equals(token.operators)).toBe(true);
      expect(token.secret).toBe(Buffer.from(secret).toString("base64url"));
    }),
  );
});

const whole = `outpost2_${Buffer.alloc(88, 1).toString("base64url")}`;

test.each([
  ["", "does not begin with outpost2_"],
  ["outpost3_AAAA", "does not begin with outpost2_"],
  [whole.slice(0, -2), "is cut short or too long"],
  [`${whole}AAAA`, "is cut short or too long"],
  [whole.replace("AQEB", "A Q+"), "holds characters that no token has"],
])("%j: %s", (text, reason) => {
  expect(() => parseToken(text)).toThrow(expect.objectContaining({ code: ErrorCode.invalidArgument }));
  expect(() => parseToken(text)).toThrow(reason);
});

test("a token of an older controller says that it is older", () => {
  const old = `outpost1_${Buffer.alloc(56, 1).toString("base64url")}`;
  expect(() => parseToken(old)).toThrow(expect.objectContaining({ code: ErrorCode.versionMismatch }));
  expect(() => parseToken(old)).toThrow(/older than this agent.*upgrade the controller/);
});
