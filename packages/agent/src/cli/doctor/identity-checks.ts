/** Who this host is, and what it keeps. */
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { stat } from "node:fs/promises";
import { checkPolicy } from "@outpost/access";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import {
  type Answer,
  type Check,
  lookAtDisk,
  lookAtModes,
  ok,
  problem,
  warning,
} from "@outpost/service/doctor";
import { readPolicy } from "../../access/policy-file.ts";
import { readConfig } from "../../config.ts";
import { Configurations, surveyConfiguration } from "../../configurations/index.ts";
import { readCredentials, validityOf } from "../../credentials.ts";
import { fingerprintsOf, fingerprintText } from "../../trust.ts";
import { readText } from "./read-text.ts";
import type { Patient } from "./patient.ts";

export function identityChecks(patient: Patient): Check[] {
  const { paths } = patient;
  return [
    { name: "joined", look: () => joined(patient) },
    { name: "identity", needs: ["joined"], look: () => identity(patient) },
    { name: "certificate", needs: ["identity"], look: () => certificate(patient) },
    { name: "operators", needs: ["identity"], look: () => operators(patient) },
    {
      name: "directory",
      needs: ["joined"],
      look: () => lookAtModes({ directory: paths.directory, secrets: [paths.key] }),
    },
    {
      name: "disk",
      needs: ["joined"],
      look: () => lookAtDisk(paths.directory, patient.config.settings.minFreeBytes),
    },
    { name: "policy", needs: ["joined"], look: () => policy(patient) },
    { name: "configurations", needs: ["joined"], look: () => configurations(patient) },
  ];
}

async function joined(patient: Patient): Promise<Answer> {
  try {
    const config = await readConfig(patient.paths);
    patient.config = config;
    return ok(`${config.name}, a host of ${config.controller}`, {
      name: config.name,
      controller: config.controller,
      directory: patient.paths.directory,
    });
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    const advice =
      code === ErrorCode.notFound
        ? "make a token with `outpost token create`, then here: `outpost-agent install --controller wss://… --token …` (or `outpost-agent join`). Look with the rights of whoever runs the agent: sudo"
        : "correct the file; docs/operations.md has its keys";
    return problem(message, advice, { code });
  }
}

const again = "join again with a new token (`outpost token create`): `outpost-agent join --force`";

async function identity(patient: Patient): Promise<Answer> {
  try {
    const credentials = await readCredentials(patient.paths);
    const { publicKey } = new X509Certificate(credentials.certificate);
    const own = createPublicKey(createPrivateKey(credentials.key));
    if (!own.equals(publicKey))
      return problem("the key and the certificate of this host do not belong together", again);
    patient.credentials = credentials;
    return ok(`its key and its certificate are in ${patient.paths.identity}`);
  } catch (reason) {
    const { code, message } = OutpostError.from(reason);
    return problem(`the identity of this host cannot be read: ${message}`, again, { code });
  }
}

const dayMs = 24 * 60 * 60 * 1000;
/** It is renewed at two thirds of its life; with less than this share left, that has failed for a while. */
const leastShare = 1 / 4;

function certificate({ credentials }: Patient): Answer {
  const { from, to } = validityOf(credentials.certificate);
  const now = Date.now();
  const day = new Date(to).toISOString().slice(0, 10);
  const data = { expiresAt: to };
  if (now < from) {
    return problem(
      `the certificate is good from ${new Date(from).toISOString()} on`,
      "this host's clock is behind: `timedatectl` shows whether it is set by somebody",
      data,
    );
  }
  if (now >= to) {
    return problem(
      `the certificate has expired on ${day}: the controller does not let this host in`,
      `${again}; if it should be good, this host's clock is wrong`,
      data,
    );
  }
  const days = Math.floor((to - now) / dayMs);
  const text = `good until ${day} (${String(days)} days)`;
  if ((to - now) / (to - from) > leastShare) return ok(`${text}, and renewed before that`, data);
  return warning(
    `${text}, and was not renewed`,
    "the agent renews it while it is connected; its log says why not",
    data,
  );
}

function operators({ credentials }: Patient): Answer {
  const [fingerprint] = credentials.operators === undefined ? [] : fingerprintsOf(credentials.operators);
  if (fingerprint === undefined) {
    return warning(
      "this host knows no authority of operators, and obeys nobody: it joined with an agent of version 0.1",
      "it takes them over once it is connected",
    );
  }
  return ok(`it obeys operators of the authority ${fingerprintText(fingerprint)}`);
}

async function policy({ paths }: Patient): Promise<Answer> {
  const state = readPolicy(paths.policy);
  if (state.kind === "bad") {
    const [first] = checkPolicy((await readText(paths.policy)) ?? "");
    const where = first === undefined ? "" : ` (line ${String(first.line)})`;
    return problem(
      `nothing is allowed here, as the policy of this host is none${where}: ${state.problem}`,
      "`outpost-agent policy check` says where; a change is in force as soon as it is saved",
    );
  }
  return ok(
    state.kind === "none"
      ? "this host has none: whatever the controller lets through is allowed"
      : `${paths.policy} is a policy`,
  );
}

async function configurations({ paths }: Patient): Promise<Answer | Answer[]> {
  const listed = new Configurations(paths.configurations).list();
  const wrong = listed.flatMap(({ name, configuration, error }) => {
    if (error !== undefined) return [`${name}: ${error.message}`];
    const { findings } = surveyConfiguration(configuration!);
    return findings.flatMap(({ kind, message }) => (kind === "problem" ? [`${name}: ${message}`] : []));
  });
  const isThere = await stat(paths.configurations).then(
    () => true,
    () => false,
  );
  if (wrong.length > 0) {
    return wrong.map((message) =>
      problem(
        message,
        "`outpost-agent configuration check` says more; whoever asks for it is refused until then",
      ),
    );
  }
  return ok(isThere ? listed.map(({ name }) => name).join(", ") : "default, as every host has it");
}
