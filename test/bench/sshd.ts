/** An sshd of our own on loopback, for a fair comparison in the same run: a user whose shell start-up files are empty. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import {
  accessSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { eventually } from "../kit/wait.ts";

const port = 17_022;
const user = "outpost-bench";

/** Where a program is on the PATH (and sbin), or undefined. */
export function which(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders
    .map((folder) => join(folder, program))
    .find((file) => {
      try {
        accessSync(file);
        return true;
      } catch {
        return false;
      }
    });
}

function userIds(): { uid: number; gid: number } {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${user}:`));
  const [, , uid, gid] = line!.split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

export class Sshd implements Disposable {
  readonly directory: string;
  readonly #server: ChildProcess;
  readonly #madeUser: boolean;

  private constructor(directory: string, server: ChildProcess, madeUser: boolean) {
    this.directory = directory;
    this.#server = server;
    this.#madeUser = madeUser;
  }

  /** Starts it, or says why it cannot be. */
  static async start(): Promise<Sshd | string> {
    const sshd = which("sshd");
    if (sshd === undefined || which("ssh") === undefined) return "ssh and sshd are not installed";
    if (process.getuid?.() !== 0) return "making a user for sshd needs root";
    const madeUser = !readFileSync("/etc/passwd", "utf8").includes(`\n${user}:`);
    if (madeUser)
      execFileSync("useradd", [
        "--create-home",
        "--shell",
        "/bin/bash",
        "--skel",
        "/dev/null",
        "--password",
        "*",
        user,
      ]);
    // Below /: sshd wants every folder above the authorized keys to be root's or the user's alone.
    const directory = mkdtempSync(join(tmpdir(), "outpost-sshd-"));
    const home = `/home/${user}`;
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(directory, "key")]);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(directory, "host")]);
    mkdirSync(join(home, ".ssh"), { recursive: true, mode: 0o700 });
    writeFileSync(join(home, ".ssh/authorized_keys"), readFileSync(join(directory, "key.pub")), {
      mode: 0o600,
    });
    const { uid, gid } = userIds();
    for (const file of [".ssh", ".ssh/authorized_keys"]) chownSync(join(home, file), uid, gid);
    for (const file of [".bashrc", ".profile", ".bash_profile", ".bash_login"])
      rmSync(join(home, file), { force: true });
    if (!existsSync("/run/sshd")) mkdirSync("/run/sshd", { mode: 0o755 });
    chmodSync("/run/sshd", 0o755);
    const settings = {
      Port: port,
      ListenAddress: "0.0.0.0",
      HostKey: join(directory, "host"),
      PidFile: "none",
      UsePAM: "no",
      PasswordAuthentication: "no",
      MaxStartups: 1000,
      PrintMotd: "no",
      PrintLastLog: "no",
    };
    writeFileSync(
      join(directory, "sshd_config"),
      Object.entries(settings)
        .map(([key, value]) => `${key} ${String(value)}\n`)
        .join(""),
    );
    const server = spawn(sshd, ["-D", "-f", join(directory, "sshd_config")], { stdio: "ignore" });
    const started = new Sshd(directory, server, madeUser);
    await eventually(
      () =>
        new Promise<boolean>((resolve) => {
          const socket = connect(port, "127.0.0.1", () => {
            socket.destroy();
            resolve(true);
          });
          socket.on("error", () => resolve(false));
        }),
      { what: "sshd" },
    );
    return started;
  }

  get pid(): number {
    return this.#server.pid!;
  }

  get options(): string[] {
    return [
      "-F",
      "none",
      "-p",
      String(port),
      "-l",
      user,
      "-i",
      join(this.directory, "key"),
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "LogLevel=ERROR",
      "-o",
      "BatchMode=yes",
    ];
  }

  /** `ssh HOST COMMAND` over a fresh connection. */
  ssh(command: string): string[] {
    return ["ssh", ...this.options, "127.0.0.1", command];
  }

  /** `ssh HOST` with a terminal. */
  terminal(): string[] {
    return ["ssh", "-tt", ...this.options, "127.0.0.1"];
  }

  [Symbol.dispose](): void {
    this.#server.kill("SIGTERM");
    rmSync(this.directory, { recursive: true, force: true });
    if (this.#madeUser) execFileSync("userdel", ["--remove", "--force", user], { stdio: "ignore" });
  }
}
