/**
 * The way from here to the controller, each step by itself. Nothing of it disturbs an agent that is connected: a second hello would
 * take its place, so there is none.
 */
import { clockSkewMs } from "@outpost/access";
import {
  controllerEnrolmentMethods,
  enrolmentMethods,
  limits,
  OutpostError,
  Peer,
  supportedVersions,
} from "@outpost/protocol";
import { dialWebSocket } from "@outpost/protocol/websocket";
import {
  type Answer,
  type Check,
  clockAnswer,
  lookAtHandshake,
  lookAtName,
  lookAtPort,
  ok,
  problem,
  skipped,
} from "@outpost/service/doctor";
import { fingerprintsOf, fingerprintText } from "../../trust.ts";
import { software } from "../../version.ts";
import type { Patient } from "./patient.ts";

export function reachChecks(patient: Patient): Check[] {
  const reach = () => ({
    controller: patient.config.controller,
    elsewhere: `change \`controller\` in ${patient.paths.config}, and restart the agent`,
  });
  return [
    { name: "name", needs: ["joined"], look: () => lookAtName(reach()) },
    { name: "port", needs: ["name"], look: () => lookAtPort(reach()) },
    {
      name: "TLS",
      needs: ["port", "identity"],
      look() {
        const { authority } = patient.credentials;
        return lookAtHandshake({ ...reach(), authority, otherAuthority: otherAuthority(authority) });
      },
    },
    { name: "admission", needs: ["TLS"], look: () => admission(patient) },
    { name: "clock", needs: ["TLS"], look: () => clock(patient) },
  ];
}

function otherAuthority(authority: string): string {
  const believed = fingerprintsOf(authority).map(fingerprintText).join(", ");
  return (
    `this host believes the CA ${believed}; \`outpost authority show\` tells which one the controller has. If it was set up ` +
    "anew, or this host was off while its CA was changed, join again with a new token: `outpost-agent join --force`; if not, " +
    "somebody is in between"
  );
}

/** Whether the controller would let this host in: it answers before anything is said. */
async function admission({ config, credentials, status }: Patient): Promise<Answer> {
  if (status?.connection.state === "connected") return ok("the agent is connected");
  const { key, certificate: cert, authority: ca } = credentials;
  try {
    const socket = await dialWebSocket({ url: `${config.controller}/agent`, tls: { key, cert, ca } });
    socket.close("only looking");
    return ok("the controller lets this host in");
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    const advice =
      code === "denied"
        ? "if that is not meant, join again with a new token (`outpost token create`): `outpost-agent join --force`. `outpost host list` shows the hosts that it knows"
        : "it is tried again by itself; the controller's log says more";
    return problem(message, advice, { code });
  }
}

/** At the door of those who enrol, where nothing has to be shown. */
async function clock({ config, credentials }: Patient): Promise<Answer> {
  try {
    const socket = await dialWebSocket({
      url: `${config.controller}/enrol`,
      tls: { ca: credentials.authority },
    });
    const peer = new Peer(socket, {
      local: enrolmentMethods,
      remote: controllerEnrolmentMethods,
      handlers: {},
    });
    const askedAt = Date.now();
    const { time } = await peer.request(
      "hello",
      { versions: supportedVersions, software, maxMessageBytes: limits.maxMessageBytes },
      { timeoutMs: limits.helloTimeoutMs },
    );
    const offsetMs = time - (askedAt + Date.now()) / 2;
    await peer.close("only looking");
    return clockAnswer(offsetMs, clockSkewMs, "the controller's");
  } catch (reason) {
    return skipped(`the controller does not tell the time: ${OutpostError.from(reason).message}`);
  }
}
