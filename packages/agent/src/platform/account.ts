/** Users and groups of the operating system, by name: passwd(5), and whatever else the host asks (LDAP and the like). */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";

export interface Account {
  readonly name: string;
  readonly uid: number;
  /** Of its primary group. */
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

/** How long a directory service may take, in milliseconds. */
const lookupTimeoutMs = 5_000;

let own: Account | undefined;

/** The user of this process, which stays the same. */
export function ownAccount(): Account {
  if (own === undefined) {
    const { username, uid, gid, homedir, shell } = userInfo();
    own = { name: username, uid, gid, home: homedir, shell: shell ?? "/bin/sh" };
  }
  return own;
}

/** `undefined` when there is no such user. Reads the file first: that is where most are, and it costs no process. */
export function findAccount(name: string): Account | undefined {
  if (!isName(name)) return undefined;
  const line = lineOf("/etc/passwd", name) ?? ask(name, "passwd");
  return line === undefined ? undefined : parseAccount(name, line);
}

/** The number of a group. `undefined` when there is no such group. */
export function findGroup(name: string): number | undefined {
  if (!isName(name)) return undefined;
  const gid = (lineOf("/etc/group", name) ?? ask(name, "group"))?.split(":")[2];
  return gid !== undefined && /^\d+$/.test(gid) ? Number(gid) : undefined;
}

/** Never a number: getent(1) would take that for one. */
function isName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]*\$?$/.test(name);
}

function lineOf(file: string, name: string): string | undefined {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .find((line) => line.startsWith(`${name}:`));
  } catch {
    return undefined;
  }
}

function ask(name: string, database: "passwd" | "group"): string | undefined {
  const record = `/${database === "passwd" ? "Users" : "Groups"}/${name}`;
  const [program, ...args] =
    process.platform === "darwin" ? ["dscl", ".", "-read", record] : ["getent", database, name];
  const { stdout, status } = spawnSync(program, args, {
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" },
    timeout: lookupTimeoutMs,
  });
  if (status !== 0) return undefined;
  return process.platform === "darwin" ? fromDirectoryService(name, stdout, database) : stdout.split("\n")[0];
}

/** What dscl(1) says, as a line of passwd(5) or group(5). */
function fromDirectoryService(name: string, text: string, database: "passwd" | "group"): string | undefined {
  const value = (key: string): string => new RegExp(`^${key}: *(.*)$`, "m").exec(text)?.[1] ?? "";
  if (database === "group") return `${name}:*:${value("PrimaryGroupID")}:`;
  const numbers = `${value("UniqueID")}:${value("PrimaryGroupID")}`;
  return `${name}:*:${numbers}::${value("NFSHomeDirectory")}:${value("UserShell")}`;
}

function parseAccount(name: string, line: string): Account | undefined {
  const [found, , uid = "", gid = "", , home = "", shell = ""] = line.trim().split(":");
  if (found !== name || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) return undefined;
  return {
    name,
    uid: Number(uid),
    gid: Number(gid),
    home: home === "" ? "/" : home,
    shell: shell === "" ? "/bin/sh" : shell,
  };
}
