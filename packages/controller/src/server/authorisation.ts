/**
 * The one place where an operator's request is allowed or not. Every request passes through `authorise` before it does
 * anything, with who asks, what for, and which hosts it touches.
 *
 * For now every enrolled operator may do everything on every host; roles and policies come here.
 */
import type { HostName } from "@outpost/protocol";
import type { OperatorRecord } from "./catalogue/operators.ts";

export interface OperatorRequest {
  readonly operator: OperatorRecord;
  readonly method: string;
  /** The hosts that the request would read from or act on; empty when it touches none. */
  readonly hosts: readonly HostName[];
}

export class Authorisation {
  /** @throws OutpostError `denied`, saying who may not do what where */
  authorise(_request: OperatorRequest): void {}
}
