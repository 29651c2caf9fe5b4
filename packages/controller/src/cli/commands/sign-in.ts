/** `outpost sign-in`. */
import { defineCommand, flag, outputOption, value } from "../command.ts";

export const signIn = defineCommand({
  name: "sign-in",
  usage: ["sign-in FILE|BUNDLE|- [--context NAME]"],
  description:
    "Become an operator, with a bundle that another one made (`outpost operator add`). A key is made here, which never leaves " +
    "this machine; the controller takes the first that it is shown with this bundle, and no other. The context is in use " +
    "from then on.",
  positionals: [
    {
      name: "BUNDLE",
      describe:
        "a file with the bundle, - for standard input, or the bundle itself (others on this machine can see command lines)",
      complete: "files",
    },
  ],
  options: {
    context: value("What the context is to be called; default: as the controller's host", {
      argument: "NAME",
    }),
    controller: value("How the controller is reached from here; default: as the bundle says", {
      argument: "URL",
    }),
    force: flag("Replace a context of that name"),
    ...outputOption,
  },
  examples: [
    ["outpost sign-in ada.bundle", ""],
    ["outpost sign-in -", "then paste it, and press Ctrl-D"],
    ["outpost sign-in ada.bundle --context prod", ""],
  ],
  run: async ({ positionals, options }) => {
    const { signInWith } = await import("../sign-in.ts");
    return signInWith(positionals[0]!, options);
  },
});
