/** An operator with a context and a key, made once for all tests of a file, and what hosts verify with. */
import { createPrivateKey } from "node:crypto";
import { acceptInvitation, OperatorsAuthority, type Signer, signerOf } from "@outpost/access";
import { newOperatorId, OperatorName } from "@outpost/protocol";
import * as v from "valibot";
import type { Context } from "../context.ts";

export interface TestOperator {
  readonly context: Context;
  readonly signer: Signer;
}

/** @param authority default one of its own */
export async function testOperator(authority?: OperatorsAuthority): Promise<TestOperator> {
  const made = authority ?? (await OperatorsAuthority.create());
  const owner = { id: newOperatorId(), name: v.parse(OperatorName, "me") };
  const { certificate, key } = await acceptInvitation(await made.invite(owner), owner);
  const context: Context = {
    controller: "wss://127.0.0.1:7443",
    name: owner.name,
    certificate,
    key,
    authority: "",
    operators: made.credentials.certificate,
    operatorsKey: made.credentials.key,
  };
  return { context, signer: signerOf(owner.name, certificate, createPrivateKey(key)) };
}
