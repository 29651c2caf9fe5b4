/**
 * What stands before every operation of an operator. An operation declares what has to be allowed, and is carried out
 * only when it is, after that was written to the audit log:
 *
 *     select ──▶ authorise on every host ──▶ audit: request ──▶ run ──▶ audit: outcome (if the operation wants one)
 *       │ denied        └─ denied ─▶ audit: request, denied ──▶ the error
 *       └──────────────────────────────────────┘
 *
 * The contract of an operation, `guard<"token.revoke", Token>("token.revoke", { action, select, run })`:
 *
 * - `action` is what the policy is asked for, on every host of `select`; a function where it depends on the request.
 * - `select` says what the request is about. It changes nothing. `hosts`: each MUST be allowed, or all of it is refused; left
 *   out (or empty), the action is about no host. A list that leaves out what the operator may not see says
 *   `hosts: "filtered"`, and asks `asker.may` of each entry. `about` and `what` go into the audit log, as they are.
 * - `run` carries it out. An error that it throws is the answer.
 * - `audit: "outcome"`: when it has ended another line says how; `trail` takes what that line should tell beside `ok` or the
 *   error's code. `audit: "once"`: for messages that follow another request many times a second (acknowledgements); each
 *   host of a subject is written once for each connection, however the messages put them together. A function where it
 *   depends on the request, as with the later pages of a list.
 *
 * Denied requests are always written. What cannot be written (`disk_full`) is not done.
 */
import { isAboutHosts } from "@outpost/access";
import {
  type Action,
  type AuditEntry,
  type Call,
  type Clock,
  type controllerOperatorMethods,
  ErrorCode,
  type Handlers,
  type HostName,
  type Labels,
  type operatorMethods,
  OutpostError,
  type Params,
  type Peer,
  type Result,
  type WireError,
} from "@outpost/protocol";
import type { Audit } from "../audit.ts";
import type { Authorisation, Need, Touched } from "../authorisation.ts";
import type { OperatorRecord } from "../catalogue/operators.ts";
import { namedHosts } from "../named-hosts.ts";
import { noObserver, type ObservedRequest, type Observer } from "../observer.ts";

export type OperatorMethods = typeof controllerOperatorMethods;
export type OperatorPeer = Peer<OperatorMethods, typeof operatorMethods>;
type Operations = Exclude<keyof OperatorMethods, "ping" | "hello">;

/** The operator's connection, as operations see it. */
export interface OperatorConnection {
  readonly operator: Pick<OperatorRecord, "id" | "name">;
  /** A function: the handlers exist before their peer. */
  readonly peer: () => OperatorPeer;
}

/** Who asks. */
export interface Asker {
  readonly operator: string;
  /** Whether they may do something on one host, or something that is about no host. */
  may(action: Action, host?: Touched): boolean;
}

export interface Selection<S> {
  readonly subject: S;
  /** The hosts that the request touches; left out: it is about no host. A `Host` of presence is one. */
  readonly hosts?: readonly Touched[] | "filtered";
  /** What has to be allowed besides. */
  readonly also?: readonly Need[];
  /** What it is about, by id or name: the job, session, token, host, operator. */
  readonly about?: string | undefined;
  /** The same for a refusal, e.g. `the job x of ada`. */
  readonly title?: string | undefined;
  /** What exactly, for people, e.g. a command line. Never a secret. */
  readonly what?: string | undefined;
}

/** See above. */
type Recording = "outcome" | "once";

export interface Operation<K extends Operations, S> {
  /** `undefined`: everybody may, as asking about oneself. */
  readonly action: Action | ((subject: S, params: Params<OperatorMethods, K>) => Action | undefined);
  readonly audit?: Recording | ((params: Params<OperatorMethods, K>) => Recording | undefined);
  select(params: Params<OperatorMethods, K>, asker: Asker): Selection<S>;
  run(
    subject: S,
    params: Params<OperatorMethods, K>,
    connection: OperatorConnection,
    call: Call<OperatorMethods, K>,
    trail: Trail,
  ): Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K>;
}

/** Makes an operation the handler of its method. */
export type Guard = <K extends Operations, S>(
  method: K,
  operation: Operation<K, S>,
) => Handlers<OperatorMethods>[K];

/** What an operation tells of its end. */
export class Trail {
  /** The number of the request's line in the audit log. */
  readonly request: number;
  /** Bytes of output that went to the operator. */
  bytes: number | undefined;
  readonly #failed: { readonly host: HostName; readonly error: WireError }[] = [];

  constructor(request: number) {
    this.request = request;
  }

  /** It did not work on a host, and the operation as a whole goes on. */
  failed(host: HostName, error: WireError): void {
    this.#failed.push({ host, error });
  }

  /** The end of an operation that threw nothing. */
  get outcome(): Pick<AuditEntry, "outcome" | "message"> {
    const [first] = this.#failed;
    if (first === undefined) return { outcome: "ok" };
    const hosts = namedHosts(this.#failed.map(({ host }) => host));
    return { outcome: first.error.code, message: `failed on ${hosts}: ${first.error.message}` };
  }
}

/** How many hosts the line of a denied request names: asking costs nothing, and MUST NOT push older lines out of the log
 * by the hundred kilobytes. The message and `what` say what was asked for. */
const maxDeniedHosts = 100;

/** So many hosts of subjects are remembered for a connection, at about 100 bytes; beyond that all are written once more. */
const maxRemembered = 100_000;

/** What the guard needs of the controller. */
export interface GuardServices {
  readonly authorisation: Authorisation;
  readonly audit: Audit;
  readonly clock: Clock;
  /** Default: nobody. */
  readonly observer?: Observer;
}

export function guardOf(services: GuardServices, connection: OperatorConnection): Guard {
  const written = new Set<string>();
  return <K extends Operations, S>(method: K, operation: Operation<K, S>) => {
    const entry = new GuardedOperation(services, connection, written, method, operation);
    // The cast joins what TypeScript keeps apart: `K` is one method, and the handler is of that method.
    return ((params: Params<OperatorMethods, K>, call: Call<OperatorMethods, K>) =>
      entry.answer(params, call)) as unknown as Handlers<OperatorMethods>[K];
  };
}

/** An operation's selection, with what was decided. */
interface Allowed<S> {
  readonly subject: S;
  readonly action: string;
  readonly trail: Trail;
}

class GuardedOperation<K extends Operations, S> {
  readonly #services: GuardServices;
  readonly #connection: OperatorConnection;
  /** What was written on this connection and need not be written again. */
  readonly #written: Set<string>;
  readonly #method: K;
  readonly #operation: Operation<K, S>;

  constructor(
    services: GuardServices,
    connection: OperatorConnection,
    written: Set<string>,
    method: K,
    operation: Operation<K, S>,
  ) {
    this.#services = services;
    this.#connection = connection;
    this.#written = written;
    this.#method = method;
    this.#operation = operation;
  }

  /** Up to the first `await` of the operation's `run` this is synchronous. */
  answer(
    params: Params<OperatorMethods, K>,
    call: Call<OperatorMethods, K>,
  ): Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K> {
    const { observer = noObserver } = this.#services;
    const about = { method: this.#method, operator: this.#operator, params };
    const observed = observer.request(about);
    if (observed === undefined) return this.#answer(params, call);
    return observe(observed, () => this.#answer(params, call));
  }

  #answer(
    params: Params<OperatorMethods, K>,
    call: Call<OperatorMethods, K>,
  ): Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K> {
    const allowed = this.#allow(params);
    const run = (): Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K> =>
      this.#operation.run(allowed.subject, params, this.#connection, call, allowed.trail);
    return this.#recording(params) === "outcome" ? this.#withOutcome(allowed, run) : run();
  }

  /** @throws OutpostError `denied`, `disk_full`; what `select` throws */
  #allow(params: Params<OperatorMethods, K>): Allowed<S> {
    const { authorisation } = this.#services;
    const operator = this.#operator;
    let selection: Selection<S> | undefined;
    let action: Action | undefined;
    try {
      selection = this.#select(params);
      const { subject, hosts = [], also = [], title } = selection;
      action = this.#action(subject, params);
      const own = action === undefined || hosts === "filtered" ? [] : [{ action, hosts }];
      const rule = authorisation.authorise({ operator, needs: [...own, ...also], title });
      const request = this.#write(selection, action, rule, this.#recording(params));
      return { subject, action: action ?? this.#method, trail: new Trail(request) };
    } catch (error) {
      if (error instanceof OutpostError && error.code === ErrorCode.denied)
        this.#writeDenied(error, selection, action);
      throw error;
    }
  }

  #select(params: Params<OperatorMethods, K>): Selection<S> {
    const { authorisation } = this.#services;
    const { action } = this.#operation;
    const operator = this.#operator;
    try {
      return this.#operation.select(params, askerOf(authorisation, operator));
    } catch (error) {
      // That there is no such token or operator is told to those who may know.
      if (typeof action === "string" && !isAboutHosts(action)) {
        authorisation.authorise({ operator, needs: [{ action, hosts: [] }] });
      }
      throw error;
    }
  }

  get #operator(): string {
    return this.#connection.operator.name;
  }

  #action(subject: S, params: Params<OperatorMethods, K>): Action | undefined {
    const { action } = this.#operation;
    return typeof action === "function" ? action(subject, params) : action;
  }

  #recording(params: Params<OperatorMethods, K>): Recording | undefined {
    const { audit } = this.#operation;
    return typeof audit === "function" ? audit(params) : audit;
  }

  /** @returns the line's number; of what was written before, 0 */
  #write(
    { hosts = [], about, what }: Selection<S>,
    action: Action | undefined,
    rule: string,
    recording: Recording | undefined,
  ): number {
    const all = hosts === "filtered" ? [] : hosts.map(({ name }) => name);
    const names = recording === "once" ? this.#unwritten(about, all) : all;
    if (names === undefined) return 0;
    return this.#services.audit.request({
      action: action ?? this.#method,
      operator: this.#operator,
      decision: "allowed",
      ...(rule === "" ? {} : { rule }),
      ...(names.length === 0 ? {} : { hosts: [...names] }),
      ...(about === undefined ? {} : { subject: about }),
      ...(what === undefined ? {} : { what }),
    });
  }

  /** Those that no line of this connection has named yet with that subject; `undefined` when there is nothing to write. */
  #unwritten(about: string | undefined, hosts: readonly HostName[]): readonly HostName[] | undefined {
    const keyOf = (host: string): string => `${this.#method} ${about ?? ""} ${host}`;
    const fresh = hosts.filter((host) => !this.#written.has(keyOf(host)));
    if (fresh.length === 0 && (hosts.length > 0 || this.#written.has(keyOf("")))) return undefined;
    if (this.#written.size + fresh.length > maxRemembered) this.#written.clear();
    for (const host of fresh.length === 0 ? [""] : fresh) this.#written.add(keyOf(host));
    return fresh;
  }

  #writeDenied(
    { message, data }: OutpostError,
    selection: Selection<S> | undefined,
    action: Action | undefined,
  ): void {
    const { hosts = [], about, what } = selection ?? {};
    const names = hosts === "filtered" ? [] : hosts.slice(0, maxDeniedHosts).map(({ name }) => name);
    const { rule, action: refused } = data;
    this.#services.audit.request({
      action: typeof refused === "string" ? refused : (action ?? this.#method),
      operator: this.#operator,
      decision: "denied",
      message,
      ...(typeof rule === "string" ? { rule } : {}),
      ...(names.length === 0 ? {} : { hosts: names }),
      ...(about === undefined ? {} : { subject: about }),
      ...(what === undefined ? {} : { what }),
    });
  }

  async #withOutcome(
    { action, trail }: Allowed<S>,
    run: () => Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K>,
  ): Promise<Result<OperatorMethods, K>> {
    const { audit, clock } = this.#services;
    const begun = clock.monotonicMs();
    const ended = (how: Pick<AuditEntry, "outcome" | "message">): void =>
      audit.outcome(trail.request, {
        action,
        operator: this.#operator,
        ...how,
        ...(trail.bytes === undefined ? {} : { bytes: trail.bytes }),
        durationMs: Math.round(clock.monotonicMs() - begun),
      });
    try {
      const result = await run();
      ended(trail.outcome);
      return result;
    } catch (error) {
      const { code, message } = OutpostError.from(error);
      ended({ outcome: code, message });
      throw error;
    }
  }
}

/** As `answer`, and says how it ended. */
function observe<T>(observed: ObservedRequest, answer: () => Promise<T> | T): Promise<T> | T {
  const failed = (reason: unknown): never => {
    observed.ended(OutpostError.from(reason).code);
    throw reason;
  };
  const answered = (result: T): T => {
    observed.ended("ok");
    return result;
  };
  try {
    const result = answer();
    return result instanceof Promise ? result.then(answered, failed) : answered(result);
  } catch (error) {
    return failed(error);
  }
}

/** Asked of every entry of a list, and lists repeat their hosts: each is decided once. */
function askerOf(authorisation: Authorisation, operator: string): Asker {
  // By the labels' object, too: a host that was removed may have had the name of one that is there.
  const decided = new Map<Labels | undefined, Map<string, boolean>>();
  return {
    operator,
    may(action, host) {
      const { name, labels, owner, configuration, user } = host ?? {};
      const among = decided.get(labels) ?? new Map<string, boolean>();
      decided.set(labels, among);
      const key = [action, name, owner === operator, configuration, user].join(" ");
      const known = among.get(key) ?? authorisation.decide(operator, action, host).allowed;
      among.set(key, known);
      return known;
    },
  };
}
