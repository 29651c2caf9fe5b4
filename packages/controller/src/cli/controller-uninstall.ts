/** `outpost controller uninstall`: takes the service away; with `--purge` the controller itself, too. */
import { rm } from "node:fs/promises";
import { ErrorCode, OutpostError } from "@outpost/protocol";
import { compileCacheFolder } from "@outpost/service/compile-cache";
import type { OutputFormat } from "./command.ts";
import { readInstalled, requireSystemd } from "./controller-service.ts";
import { controllerUnit, controllerUser } from "./controller-unit.ts";
import { print } from "./render/records.ts";
import { removeUser } from "./service-user.ts";

export interface UninstallOptions {
  /** Also the controller's directory: CA, catalogue, what was collected, audit log; and its user. */
  readonly purge: boolean;
  readonly output: OutputFormat;
}

/** @returns the exit code. @throws OutpostError `not_found` when the controller is no service here */
export async function uninstall({ purge, output }: UninstallOptions): Promise<number> {
  const systemd = requireSystemd("outpost controller uninstall");
  const installed = readInstalled(systemd);
  if (installed === undefined) {
    throw new OutpostError(
      ErrorCode.notFound,
      "the controller is no service of this machine: there is nothing to uninstall",
    );
  }
  const { program, directory } = installed;
  // We may run from what is removed, and must still be able to say that it went wrong.
  await import("./failure.ts");
  await systemd.disable(controllerUnit);
  await systemd.remove(controllerUnit);
  await program.remove();
  if (purge) {
    await rm(directory, { recursive: true, force: true });
    await rm("/var/cache/outpost-controller", { recursive: true, force: true });
    await rm(compileCacheFolder(), { recursive: true, force: true });
    await removeUser(controllerUser);
  }
  const kept = purge
    ? `${directory} and the user ${controllerUser} are gone, too: every host must join another controller.`
    : `${directory} stays, of the user ${controllerUser}: \`outpost controller install\` takes it up again. Jobs go on without it.`;
  await print(output, {
    json: { unit: controllerUnit, prefix: program.prefix, directory, purged: purge },
    text: () => `${controllerUnit} is stopped and gone, and so is the program in ${program.prefix}.\n${kept}`,
  });
  return 0;
}
