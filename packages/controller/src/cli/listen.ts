/** `HOST:PORT` to listen at. */

export interface Listen {
  /** An address or name, without brackets. */
  readonly host: string;
  readonly port: number;
}

export const defaultListen: Listen = { host: "0.0.0.0", port: 7443 };

/** `0.0.0.0:7443`, `[::]:7443`, `localhost:0`. @throws Error saying what it should look like */
export function parseListen(text: string): Listen {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw new Error("is not HOST:PORT, e.g. 0.0.0.0:7443 or [::]:7443");
  }
  return { host, port: Number(port) };
}

export function listenText({ host, port }: Listen): string {
  return `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}

/** True for addresses at which this machine is reached as `localhost`, too. */
export function isLocal({ host }: Listen): boolean {
  return ["0.0.0.0", "::", "::1", "localhost"].includes(host) || host.startsWith("127.");
}
