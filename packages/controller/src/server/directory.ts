/** Where the controller keeps what. Its whole state is this directory. */
import { join } from "node:path";

export interface ControllerPaths {
  readonly root: string;
  readonly catalogue: string;
  readonly authorityCertificate: string;
  readonly authorityKey: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
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
    serverCertificate: at("server.crt"),
    serverKey: at("server.key"),
    collected: at("collected"),
    inputs: at("inputs"),
  };
}
