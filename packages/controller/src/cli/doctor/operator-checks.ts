/** This side: who we are, and with what. */
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { ErrorCode, OutpostError, splitPem } from "@outpost/protocol";
import { type Answer, type Check, lookAtModes, ok, problem, warning } from "@outpost/service/doctor";
import { join } from "node:path";
import { Contexts, readContext } from "../../client/index.ts";
import { durationText } from "../duration.ts";
import type { Patient } from "./patient.ts";

export function operatorChecks(patient: Patient): Check[] {
  return [
    { name: "context", look: () => context(patient) },
    { name: "key files", needs: ["context"], look: () => keyFiles(patient) },
    { name: "our certificate", needs: ["context"], look: () => certificate(patient) },
  ];
}

async function context(patient: Patient): Promise<Answer> {
  try {
    const { directory, name } = await new Contexts().inUse();
    const found = await readContext(directory);
    patient.found = { directory, name, context: found };
    const where = name === undefined ? directory : `the context ${name}`;
    return ok(`${found.name} at ${found.controller} (${where})`, { controller: found.controller, directory });
  } catch (reason) {
    const error = OutpostError.from(reason);
    return problem(error.message, contextAdvice(error), { code: error.code });
  }
}

function contextAdvice({ code, data, message }: OutpostError): string {
  // These say themselves what to do.
  if (message.includes("outpost "))
    return "as it says; `outpost context list` shows which contexts there are";
  if (code === ErrorCode.notFound && !("context" in data)) {
    return (
      "on the controller's machine `outpost controller init` makes one; elsewhere `outpost sign-in`, with a bundle that " +
      "another operator makes with `outpost operator add NAME`"
    );
  }
  return "`outpost context list` shows which contexts there are; a damaged one is made anew by `outpost sign-in --force`";
}

function keyFiles({ context: { directory } }: Patient): Promise<Answer> {
  const secrets = ["operator.key", "operators.key"].map((name) => join(directory, name));
  return lookAtModes({ directory, secrets });
}

const dayMs = 24 * 60 * 60 * 1000;
/** Somebody has to make a new bundle, and to hand it over: that takes its days. */
const endsSoonMs = 30 * dayMs;

function certificate({ context: { context: found } }: Patient): Answer {
  const { name, certificate: pem, key, operatorsKey } = found;
  const again = `ask for a new bundle (\`outpost operator add ${name}\`) and sign in with it: outpost sign-in --force`;
  let chain: X509Certificate[];
  try {
    chain = splitPem(pem).map((one) => new X509Certificate(one));
    const [own] = chain;
    const ours = createPublicKey(createPrivateKey(key)).export({ format: "pem", type: "spki" });
    if (own?.publicKey.export({ format: "pem", type: "spki" }) !== ours) {
      return problem("the certificate and the key of the context do not belong together", again);
    }
  } catch {
    return problem("the certificate or the key of the context is damaged", again);
  }
  const from = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const until = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  const left = until - Date.now();
  const day = new Date(until).toISOString().slice(0, 10);
  const data = { expiresAt: until };
  const clock = "if it should be good, this machine's clock is wrong: compare `date -u`";
  if (Date.now() < from) {
    return problem(`the certificate is good from ${new Date(from).toISOString()} on`, clock, data);
  }
  // Whoever has the key of the operators' authority renews their own.
  if (operatorsKey !== undefined && left > 0)
    return ok(`good until ${day}, and renewed here before that`, data);
  if (left <= 0) {
    return problem(`${name}'s certificate has expired on ${day}`, `${again}; ${clock}`, data);
  }
  if (left < endsSoonMs) return warning(`${name}'s certificate ends in ${durationText(left)}`, again, data);
  return ok(`good until ${day}`, data);
}
