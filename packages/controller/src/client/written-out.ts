/** Loaded when an expression may name groups, and not before: most name none. */
import { withGroups } from "@outpost/protocol/targets";
import { Contexts, groupsFileOf } from "./contexts.ts";
import { Groups } from "./groups.ts";

/** @param file where the groups are @see Client.writtenOut */
export function writtenOut(targets: string, file: string | undefined): Promise<string> {
  const groups = new Groups(file);
  return withGroups(targets, (group) => groups.resolve(group));
}

/** The groups of this user, in the context in use if there is one; no controller is asked. */
export async function groupsHere(): Promise<Groups> {
  const directory = await new Contexts().inUse().then(
    (inUse) => inUse.directory,
    () => undefined,
  );
  return new Groups(groupsFileOf(directory));
}
