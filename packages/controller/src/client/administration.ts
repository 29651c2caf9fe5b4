/** What is done to a controller rather than to its hosts: who may enrol, who is an operator, what each may do and did. */
import {
  type Action,
  type AuditEntry,
  type AuditListParams,
  type AuditVerification,
  type AuthorityRotateParams,
  type AuthorityShowResult,
  ConfigurationName,
  type controllerOperatorMethods,
  ErrorCode,
  type HostInfo,
  HostName,
  OperatorName,
  type OperatorInfo,
  OutpostError,
  type Params,
  type PolicyExplainResult,
  type PolicyShowResult,
  type RequestMethod,
  type Result,
  type TokenCreateResult,
  TokenId,
  type TokenInfo,
  UserName,
} from "@outpost/protocol";
import type { Connection } from "./connection.ts";
import { type Context, ControllerUrl } from "./context.ts";
import { named } from "./named.ts";

type Methods = typeof controllerOperatorMethods;

export interface AddOperatorOptions {
  readonly name: string;
  /** How long the bundle can be used, in milliseconds. */
  readonly ttlMs: number;
  /** How the operator reaches the controller, `wss://HOST:PORT`. Default: as this context says. */
  readonly controller?: string | undefined;
}

export interface CreateTokenOptions {
  /** How long the token can be used, in milliseconds. */
  readonly ttlMs: number;
  /** How many hosts may enrol with it. Default 1. */
  readonly uses?: number | undefined;
  /** The host has to be called so. Default: as it says. */
  readonly name?: string | undefined;
  /** Labels that the host gets; of these keys it may ask for no other value. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** True: hosts begin in quarantine. Default false. */
  readonly quarantine?: boolean | undefined;
}

export interface ExplainPolicyOptions {
  /** Default: whoever asks. */
  readonly operator?: string | undefined;
  readonly action: Action;
  /** A target expression; default all hosts. */
  readonly targets?: string | undefined;
  readonly configuration?: string | undefined;
  readonly user?: string | undefined;
  /** Whose job or session it is. Default nobody's. */
  readonly owner?: string | undefined;
}

/** What a controller says of itself when it is connected to. */
export interface ControllerAbout {
  /** The software and its version, e.g. `outpost-controller 0.2.0`. */
  readonly software: string;
  /** The protocol version that both sides use. */
  readonly protocol: number;
  /** The operator's name there. */
  readonly operator: string;
  /** How far its clock is ahead of ours, in milliseconds. */
  readonly clockOffsetMs: number;
}

export interface AddedOperator {
  readonly operator: OperatorInfo;
  /** What they sign in with, once. Whoever has it first is the operator. */
  readonly bundle: string;
}

/** How many entries of the audit log are asked for at once. */
const auditPage = 1_000;

export class Administration {
  readonly #connection: Connection;
  readonly #context: Context;
  readonly #writtenOut: (targets: string) => Promise<string>;

  /** @param writtenOut targets with their groups replaced by hosts @see Client.administration */
  constructor(connection: Connection, context: Context, writtenOut: (targets: string) => Promise<string>) {
    this.#connection = connection;
    this.#context = context;
    this.#writtenOut = writtenOut;
  }

  /** How others reach the controller, `wss://HOST:PORT`. */
  get reach(): string {
    return this.#context.reach ?? this.#context.controller;
  }

  /** The controller, as it was at the last hello; `undefined` before there was one. */
  get controller(): ControllerAbout | undefined {
    const { hello, clockOffsetMs } = this.#connection;
    if (hello === undefined || clockOffsetMs === undefined) return undefined;
    const { software, version: protocol, name: operator } = hello;
    return { software, protocol, operator, clockOffsetMs };
  }

  // ------------------------------------------------------------------------------------------------ hosts

  /** Lets hosts out of quarantine. @throws OutpostError `not_found`, `denied` */
  async approveHosts(names: readonly string[]): Promise<readonly HostInfo[]> {
    const { hosts } = await this.#connection.request("host.approve", { hosts: namesOf(names) });
    return hosts;
  }

  /** Revokes hosts: their connections end, and no other is let in. What runs there goes on. @throws OutpostError `not_found`, `denied` */
  async removeHosts(names: readonly string[]): Promise<readonly HostInfo[]> {
    const { hosts } = await this.#once("host.remove", { hosts: namesOf(names) });
    return hosts;
  }

  /**
   * Makes an enrolment token. It is shown once.
   * @throws OutpostError `denied` by the policy; or because the token names other operators than this context does, and
   * then it is revoked
   */
  async createToken(options: CreateTokenOptions): Promise<TokenCreateResult> {
    const { ttlMs, uses = 1, name, labels = {}, quarantine = false } = options;
    const created = await this.#once("token.create", {
      ttlMs,
      uses,
      ...(name === undefined ? {} : { name: named(HostName, name) }),
      // What is not asked for is left out: a controller of version 0.1 knows none of it.
      ...(Object.keys(labels).length === 0 ? {} : { labels: { ...labels } }),
      ...(quarantine ? { quarantine } : {}),
    });
    const { checkToken } = await import("./token.ts");
    try {
      checkToken(created.token, this.#context.operators);
    } catch (error) {
      await this.revokeToken(created.id).catch(() => {});
      throw error;
    }
    return created;
  }

  async tokens(): Promise<readonly TokenInfo[]> {
    const { tokens } = await this.#connection.request("token.list", {});
    return tokens;
  }

  /** No host enrols with it any more; those that have stay. @throws OutpostError `not_found`, `invalid_argument` */
  async revokeToken(id: string): Promise<TokenInfo> {
    const { token } = await this.#connection.request("token.revoke", { id: named(TokenId, id) });
    return token;
  }

  // -------------------------------------------------------------------------------------------- operators

  async operators(): Promise<readonly OperatorInfo[]> {
    const { operators } = await this.#connection.request("operator.list", {});
    return operators;
  }

  /**
   * Makes an operator, and what they sign in with. The key of the operators' authority makes it, here: the controller has none.
   * @throws OutpostError `denied` without that key, or by the policy; `conflict` when there is an operator of that name
   */
  async addOperator(options: AddOperatorOptions): Promise<AddedOperator> {
    const { operators, authority: ca, operatorsKey: key } = this.#context;
    if (key === undefined) {
      throw new OutpostError(
        ErrorCode.denied,
        "this context does not hold the key of the operators' authority (operators.key), and nothing else makes operators; " +
          "it is where `outpost controller init` was run, or where it was put since then",
        { data: { reason: "operators_key" } },
      );
    }
    const name = named(OperatorName, options.name);
    const controller = named(ControllerUrl, options.controller ?? this.reach);
    const { OperatorsAuthority } = await import("@outpost/access");
    const authority = new OperatorsAuthority({ certificate: operators, key });
    const { added } = await this.#once("operator.add", { name, ttlMs: options.ttlMs });
    try {
      const { id, invitedUntil: expiresAt = Date.now() + options.ttlMs } = added;
      const invitation = await authority.invite({ id, name });
      const { encodeBundle } = await import("./sign-in-bundle.ts");
      return {
        operator: added,
        bundle: encodeBundle({ controller, id, name, ca, operators, invitation, expiresAt }),
      };
    } catch (error) {
      // Nobody could ever sign in as them.
      await this.removeOperator(name).catch(() => {});
      throw error;
    }
  }

  /** Their connections end, and no other is let in. Their jobs and sessions stay. @throws OutpostError `not_found`, `denied` */
  async removeOperator(name: string): Promise<OperatorInfo> {
    const { removed } = await this.#once("operator.remove", { name: named(OperatorName, name) });
    return removed;
  }

  // ------------------------------------------------------------------------------------- policy and audit

  policy(): Promise<PolicyShowResult> {
    return this.#connection.request("policy.show", {});
  }

  /** What the policy says to a request, and why. @throws OutpostError `not_found`, `denied` about others */
  async explainPolicy(options: ExplainPolicyOptions): Promise<PolicyExplainResult> {
    const { operator, action, targets, configuration, user, owner } = options;
    return this.#connection.request("policy.explain", {
      action,
      ...(operator === undefined ? {} : { as: named(OperatorName, operator) }),
      ...(targets === undefined ? {} : { targets: await this.#writtenOut(targets) }),
      ...(configuration === undefined ? {} : { configuration: named(ConfigurationName, configuration) }),
      ...(user === undefined ? {} : { user: named(UserName, user) }),
      ...(owner === undefined ? {} : { owner: named(OperatorName, owner) }),
    });
  }

  /** The newest entries of the controller's audit log that fit, the oldest first. @param filter.newest how many; default 200 */
  async audit(
    filter: Omit<AuditListParams, "before"> = {},
  ): Promise<{ readonly entries: readonly AuditEntry[]; readonly more: boolean }> {
    const { newest = 200 } = filter;
    const entries: AuditEntry[] = [];
    let more = true;
    while (more && entries.length < newest) {
      const first = entries[0];
      const page = await this.#connection.request("audit.list", {
        ...filter,
        newest: Math.min(auditPage, newest - entries.length),
        ...(first === undefined ? {} : { before: first.sequence }),
      });
      entries.unshift(...page.entries);
      more = page.more && page.entries.length > 0;
    }
    return { entries, more };
  }

  /** Whether a line of the controller's audit log was edited, taken out or put in. */
  verifyAudit(): Promise<AuditVerification> {
    return this.#connection.request("audit.verify", {});
  }

  // ------------------------------------------------------------------------------------------- authority

  /** @returns with `trusted`: whether the controller's operators' authority is the one of this context */
  async authority(): Promise<AuthorityShowResult & { readonly trusted: boolean }> {
    return this.#withTrust(await this.#connection.request("authority.show", {}));
  }

  /** @throws OutpostError `conflict` when the step does not fit, or hosts wait and it is not forced */
  async rotateAuthority(
    params: AuthorityRotateParams,
  ): Promise<AuthorityShowResult & { readonly trusted: boolean }> {
    return this.#withTrust(await this.#once("authority.rotate", params));
  }

  async #withTrust(
    result: AuthorityShowResult,
  ): Promise<AuthorityShowResult & { readonly trusted: boolean }> {
    const { createHash, X509Certificate } = await import("node:crypto");
    const ours = createHash("sha256").update(new X509Certificate(this.#context.operators).raw).digest("hex");
    return { ...result, trusted: result.operators === ours };
  }

  /** Not asked again after a cut: a second time it would mean something else, or fail because of the first. */
  async #once<K extends RequestMethod<Methods>>(
    method: K,
    params: Params<Methods, K>,
  ): Promise<Result<Methods, K>> {
    const peer = await this.#connection.peer();
    return peer.request(method, params);
  }
}

function namesOf(names: readonly string[]): HostName[] {
  return names.map((name) => named(HostName, name));
}
