import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainHeaderOf, chainOfHeader } from "./certificate-chain.ts";

const pem = (der: Uint8Array): string => {
  const lines = Buffer.from(der)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
};

describe("the header that tells who issued a certificate", () => {
  test("leaves out the client's own, which TLS shows", () => {
    expect(chainHeaderOf(pem(Buffer.from("own")))).toBeUndefined();
    expect(chainOfHeader(undefined)).toEqual([]);
    expect(chainHeaderOf(pem(Buffer.from("own")) + pem(Buffer.from("issuer")))).toBe(
      Buffer.from("issuer").toString("base64"),
    );
  });

  test("says what it was made of", () => {
    const der = fc.uint8Array({ minLength: 1, maxLength: 2_000 });
    fc.assert(
      fc.property(der, fc.array(der, { maxLength: 2 }), (own, others) => {
        const header = chainHeaderOf([own, ...others].map(pem).join(""));
        expect(chainOfHeader(header).map((each) => Buffer.from(each))).toEqual(
          others.map((each) => Buffer.from(each)),
        );
      }),
    );
  });

  test.each(["", ",", "%", "AAAA,", "AAAA,AAAA,AAAA", "AAAA\nAAAA", "====", "A A"])(
    "refuses %j",
    (header) => {
      expect(() => chainOfHeader(header)).toThrow(expect.objectContaining({ code: "denied" }));
    },
  );

  test("of arbitrary text: certificates or a refusal, never another fault", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.array(fc.string())), (header) => {
        try {
          expect(chainOfHeader(header).length).toBeLessThanOrEqual(2);
        } catch (error) {
          expect(error).toMatchObject({ code: "denied" });
        }
      }),
    );
  });
});
