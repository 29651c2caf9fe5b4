import { ErrorCode } from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseToken } from "./token.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test("a token is a fingerprint and a secret", () => {
  fc.assert(
    fc.property(bytes(32), bytes(24), (fingerprint, secret) => {
      const token = parseToken(` outpost1_${Buffer.concat([fingerprint, secret]).toString("base64url")}\n`);
      expect(Buffer.from(fingerprint).equals(token.fingerprint)).toBe(true);
      expect(token.secret).toBe(Buffer.from(secret).toString("base64url"));
    }),
  );
});

const whole = `outpost1_${Buffer.alloc(56, 1).toString("base64url")}`;

test.each([
  ["", "does not begin with outpost1_"],
  ["outpost2_AAAA", "does not begin with outpost1_"],
  [whole.slice(0, -2), "is cut short or too long"],
  [`${whole}AAAA`, "is cut short or too long"],
  [whole.replace("AQEB", "A Q+"), "holds characters that no token has"],
])("%j: %s", (text, reason) => {
  expect(() => parseToken(text)).toThrow(expect.objectContaining({ code: ErrorCode.invalidArgument }));
  expect(() => parseToken(text)).toThrow(reason);
});
