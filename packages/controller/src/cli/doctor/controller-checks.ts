/** The way to the controller, who it is, and what it lets us do. */
import { clockSkewMs } from "@outpost/access";
import { type Action, ErrorCode, OutpostError } from "@outpost/protocol";
import { compareVersions, fold } from "@outpost/protocol/targets";
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
  warning,
} from "@outpost/service/doctor";
import { connect, version } from "../../client/index.ts";
import { fingerprints, fingerprintText } from "../render/certificate-text.ts";
import type { Patient } from "./patient.ts";

export function controllerChecks(patient: Patient): Check[] {
  const reach = () => ({
    controller: patient.context.context.controller,
    elsewhere: `change \`controller\` in ${patient.context.directory}/context.json`,
  });
  return [
    { name: "name", needs: ["context"], look: () => lookAtName(reach()) },
    { name: "port", needs: ["name"], look: () => lookAtPort(reach()) },
    {
      name: "TLS",
      needs: ["port"],
      look() {
        const { authority } = patient.context.context;
        return lookAtHandshake({ ...reach(), authority, otherAuthority: otherAuthority(authority) });
      },
    },
    { name: "hello", needs: ["TLS", "our certificate"], look: () => hello(patient) },
    { name: "clock", needs: ["hello"], look: () => clock(patient) },
    { name: "version", needs: ["hello"], look: () => versions(patient) },
    { name: "authorities", needs: ["hello"], look: () => authorities(patient) },
  ];
}

/** After the hosts were looked at: it is about them. */
export function policyChecks(patient: Patient): Check[] {
  return [{ name: "policy", needs: ["hello"], look: () => policy(patient) }];
}

function otherAuthority(authority: string): string {
  const believed = fingerprints(authority).map(fingerprintText).join(", ");
  return (
    `this context believes the CA ${believed}; compare it with the fingerprint of ca.crt on the controller's machine ` +
    "(`openssl x509 -in ca.crt -noout -fingerprint -sha256`). If the controller was set up anew, sign in anew; if its CA was " +
    "changed, take the ca.crt of another operator's context; if neither, somebody is in between"
  );
}

async function hello(patient: Patient): Promise<Answer> {
  const { directory, context } = patient.context;
  try {
    patient.client = await connect({ contextDirectory: directory, reconnectForMs: 0 });
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    return problem(message, helloAdvice(code, context.name), { code });
  }
  const { software, operator, protocol } = patient.client.administration.controller!;
  return ok(`${software} takes us for ${operator} (protocol ${String(protocol)})`, {
    software,
    protocol,
    operator,
  });
}

function helloAdvice(code: ErrorCode, name: string): string {
  switch (code) {
    case ErrorCode.denied:
      return `another operator can say who there is (\`outpost operator list\`), and let ${name} in again: \`outpost operator add ${name}\`, then \`outpost sign-in --force\` here`;
    case ErrorCode.versionMismatch:
      return "upgrade the older side; a new controller serves what was before it";
    case ErrorCode.busy:
      return "the controller is being flooded with connections, or has just been started: try again in a moment";
    default:
      return "the controller's log says more: `journalctl -u outpost-controller` there";
  }
}

function clock({ client }: Patient): Answer {
  const { clockOffsetMs } = client.administration.controller!;
  return clockAnswer(clockOffsetMs, clockSkewMs, "the controller's");
}

function versions({ client }: Patient): Answer {
  const theirs = client.administration.controller!.software.split(" ").at(-1)!;
  const data = { ours: version, theirs };
  const order = compareVersions(version, theirs);
  if (order === 0) return ok(`both sides are ${version}`, data);
  return order > 0
    ? warning(
        `we are ${version} and the controller is ${theirs}`,
        "upgrade the controller first, then agents and operators; what it does not know is refused until then",
        data,
      )
    : warning(`we are ${version} and the controller is ${theirs}`, "upgrade this outpost when you can", data);
}

/** What most people need; that somebody may not is their policy, and no fault. */
const usual: readonly Action[] = ["host.list", "invoke", "job.read", "session.open"];

/** So many hosts are asked about: each is a line of the answer, and rules are seldom about single ones. */
const maxPolicyHosts = 500;

async function policy({ client, hosts }: Patient): Promise<Answer[]> {
  const { administration } = client;
  const some = hosts.slice(0, maxPolicyHosts).map(({ name }) => name);
  const targets = some.length === 0 ? {} : { targets: some.join(",") };
  const { operator } = administration.controller!;
  const denied: string[] = [];
  const allowed: string[] = [];
  let asked = 0;
  for (const action of usual) {
    const { decisions } = await administration.explainPolicy({ action, ...targets });
    const count = decisions.filter((decision) => decision.allowed).length;
    asked += decisions.length;
    const isEverywhere = count === decisions.length;
    if (!isEverywhere && count === 0) denied.push(action);
    else
      allowed.push(
        isEverywhere ? action : `${action} (on ${String(count)} of ${String(decisions.length)} hosts)`,
      );
  }
  const advice = `\`outpost policy explain ${operator} ${denied[0] ?? "invoke"}\` shows why; the rules are in policy.yaml at the controller`;
  const answers = [
    asked === 0
      ? warning(`there is no host that ${operator} may see, and so nothing to be allowed on`, advice)
      : denied.length === 0
        ? ok(`${operator} may ${allowed.join(", ")}`)
        : warning(`${operator} may nowhere ${denied.join(", ")}`, advice, { denied }),
  ];
  const inForce = await administration.policy().catch((reason: unknown) => OutpostError.from(reason));
  // Who may not read it leaves that to those who may.
  if (!(inForce instanceof OutpostError) && inForce.problem !== undefined) {
    answers.push(
      problem(
        `what is in ${inForce.file} is not in force: ${inForce.problem}`,
        "the policy before it still holds; correct the file, `outpost policy check` there says where",
      ),
    );
  }
  return answers;
}

const yearMs = 365 * 24 * 60 * 60 * 1000;

async function authorities({ client }: Patient): Promise<Answer> {
  const found = await client.administration.authority().catch((reason: unknown) => OutpostError.from(reason));
  if (found instanceof OutpostError) {
    if (found.code === ErrorCode.denied) return skipped("only who may do authority.read can see them");
    throw found;
  }
  const { authorities: all, waiting, trusted } = found;
  if (!trusted) {
    return problem(
      "the controller shows another authority of operators than our context has",
      "hosts believe in the one that they enrolled with: compare `outpost authority show` with what `outpost-agent status` says there",
    );
  }
  const names = waiting.length === 0 ? "no host" : fold(waiting);
  if (all.some(({ state }) => state === "incoming")) {
    return warning(
      `the CA is being changed; ${names} waits for a certificate of the new one`,
      waiting.length === 0
        ? "`outpost authority rotate finish` ends the change, once every operator has used outpost since it began"
        : "hosts fetch theirs when they are connected; `outpost authority show` tells when none waits any more",
      { waiting },
    );
  }
  if (waiting.length > 0) {
    return warning(
      `a change of the CA was abandoned; ${names} still has a certificate of it`,
      "they fetch another one when they are connected",
      { waiting },
    );
  }
  const ends = Math.min(...all.map(({ expiresAt }) => expiresAt));
  const day = new Date(ends).toISOString().slice(0, 10);
  if (ends - Date.now() < yearMs) {
    return warning(`the CA ends on ${day}`, "change it in time: `outpost authority rotate begin`", {
      expiresAt: ends,
    });
  }
  return ok(`one CA, until ${day}, and the operators' authority is the one of our context`);
}
