/** How jobs ended, in words. */
import type { ExitEvent } from "../../client/index.ts";

type Ending = Pick<
  ExitEvent,
  "host" | "state" | "ended" | "exit" | "reason" | "unreachableSince" | "queued" | "failedCheck"
>;

const isoTime = /\d{4}-\d\d-\d\dT[\d:.]+Z/;

/** `completed`, `exit code 7`, `ended by SIGKILL`, `timed out`, `cannot start: …`, `unreachable since …`, `running`. */
export function endingText(ending: Ending): string {
  const { host, state, ended, exit, reason, unreachableSince, queued, failedCheck } = ending;
  if (failedCheck !== undefined) return `check failed: ${endingText(failedCheck)}`;
  if (!ended) {
    if (queued !== undefined)
      return queued === "host" ? "offline; waits for the host to come back" : "waits for its turn";
    return unreachableSince === undefined ? state : `unreachable since ${clockText(unreachableSince)}`;
  }
  if (reason === undefined) return state === "failed" && exit !== undefined ? exitText(exit) : state;
  switch (reason.code) {
    case "timed_out":
      return "timed out";
    case "stopped":
      return reason.by === undefined ? "stopped" : `stopped by ${reason.by}`;
    case "start_failed":
      return `cannot start: ${reason.message}`;
    case "host_unreachable":
      // Who it is stands before it; and people have clocks that show local time.
      return `unreachable: ${reason.message.replace(`${host} `, "").replace(isoTime, (time) => clockText(Date.parse(time)))}`;
    case "expired":
      return `not started: ${reason.message}`;
    case "refused":
      return `refused: ${reason.message}`;
    case "denied":
      return `denied: ${reason.message}`;
    case "skipped":
      return "offline; left out";
    case "not_begun":
      return "not begun: the roll-out was stopped before";
    case "output_limit":
    case "disk_full":
      return `${state}: ${reason.message}`;
    case "host_rebooted":
    case "wrapper_vanished":
    case "record_damaged":
    case "start_interrupted":
    case "forgotten":
      return `lost: ${reason.message}`;
    default:
      return reason.code satisfies never;
  }
}

/** `exit code 7`, `ended by SIGKILL`. */
function exitText(exit: NonNullable<Ending["exit"]>): string {
  return "signal" in exit ? `ended by ${exit.signal}` : `exit code ${String(exit.code)}`;
}

/** Local date and time, the date left out for today. */
export function clockText(time: number, now: number = Date.now()): string {
  const local = (at: number): [string, string] => {
    const date = new Date(at);
    const two = (part: number): string => String(part).padStart(2, "0");
    return [
      `${String(date.getFullYear())}-${two(date.getMonth() + 1)}-${two(date.getDate())}`,
      [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":"),
    ];
  };
  const [day, clock] = local(time);
  return day === local(now)[0] ? clock : `${day} ${clock}`;
}
