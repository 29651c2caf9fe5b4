/** How a session knows its shell: start-up files, marks in its output, and commands that are run in it. */
export { MarkScanner, type Mark } from "./marks.ts";
export { prepareShell, type PreparedShell } from "./prepare-shell.ts";
export { PromptState } from "./prompt-state.ts";
export { Runs, type ShellTerminal } from "./runs.ts";
