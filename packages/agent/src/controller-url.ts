/** The address of a controller, as a person types it. */
import { ErrorCode, OutpostError } from "@outpost/protocol";

const example = "wss://controller.example.com:7443";

/**
 * Accepts `wss://host:port` and nothing more, so that what stands in agent.json is what is dialed.
 * @returns without a trailing slash
 * @throws OutpostError `invalid_argument`
 */
export function parseControllerUrl(text: string): string {
  const bad = (what: string): OutpostError =>
    new OutpostError(ErrorCode.invalidArgument, `${JSON.stringify(text)} ${what}; write it like ${example}`);
  const url = URL.parse(text);
  if (url === null) throw bad("is not an address");
  if (url.protocol !== "wss:") throw bad(`begins with ${url.protocol}, and a controller speaks wss: only`);
  if (url.username !== "" || url.password !== "") throw bad("holds a user name or password");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw bad("has more than a host and a port");
  return `wss://${url.host}`;
}

/** Host and port for a plain TLS connection. */
export function hostAndPort(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[(.*)\]$/, "$1"), port: port === "" ? 443 : Number(port) };
}
