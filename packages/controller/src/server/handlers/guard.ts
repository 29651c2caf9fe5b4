/**
 * What stands before every operation of an operator. Each says which hosts a request touches (`select`) before it is
 * carried out (`run`), and every request passes through `authorise` between the two.
 */
import type {
  Call,
  controllerOperatorMethods,
  Handlers,
  HostName,
  operatorMethods,
  Params,
  Peer,
  Result,
} from "@outpost/protocol";
import type { Authorisation } from "../authorisation.ts";
import type { OperatorRecord } from "../catalogue/operators.ts";

export type OperatorMethods = typeof controllerOperatorMethods;
export type OperatorPeer = Peer<OperatorMethods, typeof operatorMethods>;
type Operations = Exclude<keyof OperatorMethods, "ping" | "hello">;

/** The operator's connection, as operations see it. */
export interface OperatorConnection {
  readonly operator: OperatorRecord;
  /** A function: the handlers exist before their peer. */
  readonly peer: () => OperatorPeer;
}

export interface Operation<K extends Operations, S> {
  /** What the request is about, and which hosts it touches. */
  select(params: Params<OperatorMethods, K>): { readonly subject: S; readonly hosts: readonly HostName[] };
  run(
    subject: S,
    params: Params<OperatorMethods, K>,
    connection: OperatorConnection,
    call: Call<OperatorMethods, K>,
  ): Promise<Result<OperatorMethods, K>> | Result<OperatorMethods, K>;
}

/** Makes an operation the handler of its method. */
export type Guard = <K extends Operations, S>(
  method: K,
  operation: Operation<K, S>,
) => Handlers<OperatorMethods>[K];

export function guardOf(authorisation: Authorisation, connection: OperatorConnection): Guard {
  return <K extends Operations, S>(method: K, operation: Operation<K, S>) =>
    // The cast joins what TypeScript keeps apart: `K` is one method, and the handler is of that method.
    ((params: Params<OperatorMethods, K>, call: Call<OperatorMethods, K>) => {
      const { subject, hosts } = operation.select(params);
      authorisation.authorise({ operator: connection.operator, method, hosts });
      return operation.run(subject, params, connection, call);
    }) as unknown as Handlers<OperatorMethods>[K];
}
