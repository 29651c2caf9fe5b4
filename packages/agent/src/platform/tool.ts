/** Programs of the system that we call ourselves: by where systems have them, whatever the PATH says. */
import { accessSync, constants } from "node:fs";

const folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"] as const;

/** The absolute path. `undefined` when it is not there. */
export function findTool(name: string): string | undefined {
  return folders.map((folder) => `${folder}/${name}`).find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
