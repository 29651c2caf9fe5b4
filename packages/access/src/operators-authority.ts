/**
 * The operators' authority: makes operators. Its key is with the first operator, never at the controller; hosts have known
 * its certificate since they enrolled. See `operator-chain.ts` for what it signs.
 */
import type { OperatorId, OperatorName } from "@outpost/protocol";
import { identityUrn } from "./identity.ts";
import { createRoot, type Credentials, generateKeys, Issuer } from "./issuing.ts";

const authorityDays = 3650;

/** Operators are let in by their key and put out by the catalogue, so theirs need not be renewed often. */
const operatorDays = 365;

export interface OperatorOwner {
  readonly id: OperatorId;
  readonly name: OperatorName;
}

export class OperatorsAuthority {
  readonly credentials: Credentials;
  readonly #issuer: Issuer;

  constructor(credentials: Credentials) {
    this.credentials = credentials;
    this.#issuer = new Issuer(credentials);
  }

  static async create(): Promise<OperatorsAuthority> {
    return new OperatorsAuthority(await createRoot("Outpost operators", authorityDays, 1));
  }

  /** The first operator, with a new key. */
  async issueOperator(owner: OperatorOwner): Promise<Credentials> {
    return issueWithKey(this.#issuer, owner, "clientAuth");
  }

  /** What lets the holder of its key make one operator of that name: what a sign-in bundle holds. */
  async invite(owner: OperatorOwner): Promise<Credentials> {
    return issueWithKey(this.#issuer, owner, "issuer");
  }
}

/**
 * Makes an operator's credentials from an invitation; the new key is made here and goes nowhere.
 * @returns `certificate`: the operator's and the invitation's, PEM behind each other
 */
export async function acceptInvitation(invitation: Credentials, owner: OperatorOwner): Promise<Credentials> {
  const { certificate, key } = await issueWithKey(new Issuer(invitation), owner, "clientAuth");
  return { certificate: certificate + invitation.certificate, key };
}

async function issueWithKey(
  issuer: Issuer,
  { id, name }: OperatorOwner,
  usage: "clientAuth" | "issuer",
): Promise<Credentials> {
  const { publicKey, key } = await generateKeys();
  const alternativeNames = [{ type: "url", value: identityUrn({ kind: "operator", id }) } as const];
  return {
    certificate: await issuer.issue({ name, publicKey, usage, alternativeNames, days: operatorDays }),
    key,
  };
}
