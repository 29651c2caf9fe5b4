/**
 * A thread of its own that makes an identity (identity.ts) and ends: the certificate library and its schemas would cost
 * a running agent about 10 MB for ever, for what it does once a month.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import type { NewIdentity } from "./identity.ts";

/** As `createIdentity`. The key passes from thread to thread and nowhere else. */
export function createIdentityAside(name: string): Promise<NewIdentity> {
  return new Promise((resolve, reject) => {
    // It needs nothing of the agent's environment or arguments.
    const worker = new Worker(new URL(import.meta.url), {
      workerData: name,
      env: {},
      argv: [],
      execArgv: [],
    });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the thread that makes an identity ended without one")));
  });
}

if (!isMainThread && typeof workerData === "string") {
  const { createIdentity } = await import("./identity.ts");
  parentPort?.postMessage(await createIdentity(workerData));
}
