/** What `controller install` and `controller uninstall` share. */
import { fileURLToPath } from "node:url";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { Program, Systemd } from "@outpost/service";
import { controllerUnit, installedAs } from "./controller-unit.ts";

export const defaultPrefix = "/opt/outpost-controller";

/** The package that this program was loaded from; the same from src/ and from dist/. */
export const packageFolder = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

export function controllerProgram(prefix: string): Program {
  return new Program({ prefix, command: "outpost", main: "dist/cli/main.js" });
}

/** What a unit of ours says of itself. */
export interface Installed {
  readonly program: Program;
  /** The controller's directory. */
  readonly directory: string;
}

/** `undefined` when there is no unit of ours. */
export function readInstalled(systemd: Systemd): Installed | undefined {
  const found = installedAs(systemd.read(controllerUnit) ?? "");
  return found === undefined
    ? undefined
    : { program: controllerProgram(found.prefix), directory: found.directory };
}

/** @param what e.g. `outpost controller install`. @throws OutpostError `denied` without root, `not_found` without systemd */
export function requireSystemd(what: string): Systemd {
  if (process.getuid?.() !== 0) {
    throw new OutpostError(
      ErrorCode.denied,
      `${what} changes services of this machine and needs root: run it with sudo. ` +
        "Without root a controller can be run by hand: outpost controller init, then outpost controller start",
    );
  }
  if (Systemd.isRunning) return new Systemd();
  throw new OutpostError(
    ErrorCode.notFound,
    "this machine does not run systemd (there is no /run/systemd/system). Set the controller up with `outpost controller " +
      "init`, and have your service manager run `outpost controller start` in the foreground, as a user of its own, and restart it always",
  );
}
