import { newHostId, newOperatorId } from "@outpost/protocol";
import { describe, expect, test } from "vitest";
import { identityOf, identityUrn } from "./identity.ts";

const id = "0123456789ab";

describe("the identity of a certificate", () => {
  test("is what was written into it", () => {
    const host = { kind: "host", id: newHostId() } as const;
    const operator = { kind: "operator", id: newOperatorId() } as const;
    for (const identity of [host, operator]) {
      const urn = identityUrn(identity);
      expect(identityOf({ subjectAltName: `DNS:web1, URI:${urn}, URI:https://example.org` })).toEqual(
        identity,
      );
    }
  });

  test.each([
    undefined,
    "",
    "DNS:web1",
    `DNS:urn:outpost:host:${id}`,
    `URI:urn:outpost:admin:${id}`,
    `URI:urn:outpost:host:${id.toUpperCase()}`,
    "URI:urn:outpost:host:short",
    `URI:urn:outpost:host:${id}x`,
    ` URI:urn:outpost:host:${id}`,
    // What a name with a comma in it looks like: Node puts it into quotes.
    `URI:"https://x/, URI:urn:outpost:host:${id}"`,
    `URI:urn:outpost:host:${id}, URI:urn:outpost:operator:${id}`,
    `URI:urn:outpost:host:${id}, URI:urn:outpost:host:${id}`,
  ])("is none: %j", (subjectAltName) => {
    expect(identityOf({ subjectAltName })).toBeUndefined();
  });
});
