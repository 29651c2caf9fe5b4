export type { StartRequest } from "./job-directory.ts";
export { Jobs, type InputSpool, type ReadSink } from "./jobs.ts";
export { defaultJobSettings, type JobSettings } from "./settings.ts";
