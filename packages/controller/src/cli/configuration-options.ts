/** Under what a job or session is run. */
import { value } from "./command.ts";

export const configurationOptions = {
  configuration: value("The hosts' configuration to run under; default: default", { argument: "NAME" }),
  user: value("The hosts' user to run as; default: the configuration's", { argument: "NAME" }),
} as const;
