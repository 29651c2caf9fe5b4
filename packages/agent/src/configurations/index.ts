/** What a host offers: who may run what as whom, and how much of the host it may take. */
export {
  type AdmittedJob,
  type AdmittedSession,
  admitJob,
  admitSession,
  checkCount,
  checkIdleTimeout,
  checkOperator,
} from "./admission.ts";
export { type Configuration, openConfiguration } from "./configuration.ts";
export { readConfiguration } from "./configuration-file.ts";
export { Configurations } from "./configurations.ts";
export { type Survey, surveyConfiguration } from "./survey.ts";
