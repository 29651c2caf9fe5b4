/** The agent's answer to `hello` on its local socket. */
import { answerHello, type HelloParams, type HelloResult } from "@outpost/protocol";
import { software } from "../version.ts";

/** @throws OutpostError `version_mismatch`: the program and the agent are of versions too far apart */
export function greet(params: HelloParams, name: string, time: number): HelloResult {
  const advice = "upgrade the older one, and start the agent again";
  return answerHello(params, { software, name, time, advice });
}
