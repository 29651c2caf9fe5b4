/** For the tests of other packages: an operators' authority and operators, made in memory. */
import { createPrivateKey } from "node:crypto";
import { newOperatorId, OperatorName } from "@outpost/protocol";
import * as v from "valibot";
import type { Credentials } from "./issuing.ts";
import { acceptInvitation, OperatorsAuthority } from "./operators-authority.ts";
import { type Signer, signerOf } from "./signing.ts";

export interface TestOperators {
  /** PEM. */
  readonly authority: string;
  /** An operator who was invited, with a key of their own. */
  add(name: string): Promise<{ readonly signer: Signer; readonly credentials: Credentials }>;
}

export async function testOperators(): Promise<TestOperators> {
  const authority = await OperatorsAuthority.create();
  return {
    authority: authority.credentials.certificate,
    async add(text) {
      const owner = { id: newOperatorId(), name: v.parse(OperatorName, text) };
      const credentials = await acceptInvitation(await authority.invite(owner), owner);
      return {
        signer: signerOf(owner.name, credentials.certificate, createPrivateKey(credentials.key)),
        credentials,
      };
    },
  };
}
