/** What a host makes of a configuration: whether what it names is there, and how its limits are enforced. */
import { accessSync, constants, lstatSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { type EnforcedLimit, explainEnforcement, findTool } from "../platform/index.ts";
import { hostUsers, type Users } from "./admission.ts";
import type { Configuration } from "./configuration.ts";
import { isLiteral } from "./name-pattern.ts";

export interface Finding {
  /** `problem`: what is asked for under it will fail, or it does not hold. `note`: worth knowing. */
  readonly kind: "problem" | "note";
  /** A sentence without its full stop. */
  readonly message: string;
}

export interface Survey {
  readonly findings: readonly Finding[];
  readonly limits: readonly EnforcedLimit[];
}

/** Looks at this host as the user who calls; that should be the agent's. */
export function surveyConfiguration(configuration: Configuration, users: Users = hostUsers()): Survey {
  const limits = enforcedLimits(configuration, users);
  const findings = [
    ...userFindings(configuration, users),
    ...commandFindings(configuration),
    ...limits
      .filter(({ enforced }) => !enforced)
      .map(({ limit, how }) => problem(`the limit ${limit} is ${how}`)),
  ];
  return { findings, limits };
}

function enforcedLimits({ user, limits }: Configuration, users: Users): readonly EnforcedLimit[] {
  const account = user === undefined ? users.own : users.find(user);
  return explainEnforcement(limits, account?.uid ?? users.own.uid);
}

function userFindings({ user, users: others, groups, shell }: Configuration, users: Users): Finding[] {
  const { own } = users;
  const findings: Finding[] = [];
  const names = [...(user === undefined ? [] : [user]), ...others.filter(isLiteral)];
  for (const name of names)
    if (users.find(name) === undefined) findings.push(problem(`there is no user '${name}' on this host`));
  for (const name of groups ?? [])
    if (users.group(name) === undefined) findings.push(problem(`there is no group '${name}' on this host`));
  const changes = names.some((name) => name !== own.name) || groups !== undefined || others.length > 0;
  if (changes && own.uid !== 0)
    findings.push(
      problem(`only an agent that runs as root can run things as other users; this is ${own.name}`),
    );
  if (changes && process.platform === "linux" && findTool("setpriv") === undefined)
    findings.push(problem("running as another user needs setpriv(1), which is not here: install util-linux"));
  if (shell !== undefined && !isProgram(shell)) findings.push(problem(`there is no program ${shell}`));
  return findings;
}

function commandFindings({ allow = [], command }: Configuration): Finding[] {
  const paths = new Set([...allow.map((entry) => entry.command), ...(command ?? []).slice(0, 1)]);
  const findings: Finding[] = [];
  for (const path of paths) {
    if (!isProgram(path)) {
      findings.push(problem(`there is no program ${path}`));
      continue;
    }
    const open = writableByOthers(path);
    if (open !== undefined)
      findings.push(problem(`others may replace ${path}, because they may write to ${open}`));
    if (lstatSync(path).isSymbolicLink())
      findings.push(note(`${path} is a symbolic link to ${realpathSync(path)}, which is what runs`));
  }
  return findings;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** The program, or a directory on the way to it, that more than its owner may write to. */
function writableByOthers(path: string): string | undefined {
  const real = realpathSync(path);
  for (let at = real; ; at = dirname(at)) {
    const { mode } = statSync(at);
    // In a directory with the sticky bit nobody removes what is another's.
    const isProtected = at !== real && (mode & 0o1000) !== 0;
    if ((mode & 0o022) !== 0 && !isProtected) return at;
    if (at === dirname(at)) return undefined;
  }
}

function problem(message: string): Finding {
  return { kind: "problem", message };
}

function note(message: string): Finding {
  return { kind: "note", message };
}
