export type { StartRequest } from "./job-directory.ts";
export { Jobs, type InputSpool, type JobsOptions, type ReadSink } from "./jobs.ts";
export { defaultJobSettings, type JobSettings } from "./settings.ts";
