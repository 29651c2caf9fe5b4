/** The system user as whom the controller runs: it owns the controller's directory and nothing else. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ErrorCode, OutpostError } from "@outpost/protocol";

const run = promisify(execFile);

/** Makes the user and its group, unless they are there. @throws OutpostError saying what to do where that does not work */
export async function ensureUser(name: string): Promise<void> {
  if (await exists(name)) return;
  const options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"];
  await must(
    "useradd",
    [...options, "--shell", "/usr/sbin/nologin", name],
    `make the system user ${name} yourself`,
  );
}

/** Nothing when there is none. */
export async function removeUser(name: string): Promise<void> {
  if (await exists(name)) await must("userdel", [name], `remove the system user ${name} yourself`);
}

/** Gives a directory with all that is in it to a user and its group; links are given, not followed. */
export async function giveTo(owner: string, directory: string): Promise<void> {
  await must("chown", ["--recursive", "--no-dereference", owner, directory], `give ${directory} to ${owner}`);
}

async function exists(name: string): Promise<boolean> {
  return run("id", ["-u", name]).then(
    () => true,
    () => false,
  );
}

async function must(program: string, args: readonly string[], otherwise: string): Promise<void> {
  try {
    await run(program, [...args], {
      env: { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` },
    });
  } catch (cause) {
    const { stderr = "", message } = cause as { readonly stderr?: string; readonly message: string };
    throw new OutpostError(
      ErrorCode.internal,
      `${program} failed (${stderr.trim() === "" ? message : stderr.trim()}): ${otherwise}, and try again`,
      { cause },
    );
  }
}
