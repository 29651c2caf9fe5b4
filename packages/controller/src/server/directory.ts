/** Where the controller keeps what. Its whole state is this directory. */
import { join } from "node:path";

export interface ControllerPaths {
  readonly root: string;
  readonly catalogue: string;
  readonly authorityCertificate: string;
  readonly authorityKey: string;
  /** The CA that is to follow, while the CA is changed. */
  readonly incomingCertificate: string;
  readonly incomingKey: string;
  /** A CA that was to follow and will not: it signs nothing any more, and hosts still have certificates of it. */
  readonly abandonedCertificate: string;
  /** The CA before this one. It is trusted no more; its certificate helps to say so. */
  readonly formerCertificate: string;
  /** The operators' authority. Its key is the first operator's, not ours. */
  readonly operatorsCertificate: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly policy: string;
  readonly audit: string;
  /** Output that the controller has received itself: `collected/<fan-out job>/<host>/{stdout,stderr,timeline,gaps}`. */
  readonly collected: string;
  /** Standard inputs on their way: `inputs/<fan-out job>`. */
  readonly inputs: string;
}

export function controllerPaths(directory: string): ControllerPaths {
  const at = (...names: string[]): string => join(directory, ...names);
  return {
    root: directory,
    catalogue: at("catalogue.sqlite"),
    authorityCertificate: at("ca.crt"),
    authorityKey: at("ca.key"),
    incomingCertificate: at("ca-incoming.crt"),
    incomingKey: at("ca-incoming.key"),
    abandonedCertificate: at("ca-abandoned.crt"),
    formerCertificate: at("ca-former.crt"),
    operatorsCertificate: at("operators.crt"),
    serverCertificate: at("server.crt"),
    serverKey: at("server.key"),
    policy: at("policy.yaml"),
    audit: at("audit"),
    collected: at("collected"),
    inputs: at("inputs"),
  };
}
