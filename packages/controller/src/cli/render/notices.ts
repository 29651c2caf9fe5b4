/** What is said while output comes, in words. */
import type { GapEvent, NoticeEvent } from "../../client/index.ts";
import { clockText } from "./ending.ts";
import { foldedNames } from "./names.ts";
import { say } from "./sink.ts";

/** How long notices of hosts are collected, in milliseconds: what cuts one off often cuts a hundred off. */
const collectMs = 200;

/** Says notices; those that come together about hosts as one. */
export class Notices {
  #collected: NoticeEvent[] = [];
  #timer: NodeJS.Timeout | undefined;

  async note(event: NoticeEvent): Promise<void> {
    if (event.host === undefined) {
      await say(noticeText(event));
      return;
    }
    this.#collected.push(event);
    this.#timer ??= setTimeout(() => void this.flush(), collectMs);
  }

  /** Says what has been collected, now. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const collected = this.#collected;
    this.#collected = [];
    for (const code of new Set(collected.map((event) => event.code))) {
      const some = collected.filter((event) => event.code === code);
      await say(some.length === 1 ? noticeText(some[0]!) : await manyText(some));
    }
  }
}

function noticeText({ message, since }: NoticeEvent): string {
  return since === undefined ? message : `${message} (since ${clockText(since)})`;
}

async function manyText(some: readonly NoticeEvent[]): Promise<string> {
  const [{ code, message }] = some as [NoticeEvent];
  const hosts = some.flatMap(({ host }) => host ?? []);
  const names = `${await foldedNames([...new Set(hosts)])} (${String(hosts.length)})`;
  if (code === "host_unreachable") {
    return `${names} cannot be reached; their jobs go on there, and their output waits`;
  }
  return code === "host_reconnected" ? `${names} are connected again` : `${names}: ${message}`;
}

const gapReasons: Readonly<Record<GapEvent["reason"], string>> = {
  evicted: "made room for newer jobs",
  removed: "removed",
  truncated: "the file was shortened on the host",
  received: "received before, and forgotten by the host",
};

/** Without the host. */
export function gapText({ stream, from, to, reason }: GapEvent): string {
  const bytes = to - from;
  return `${String(bytes)} bytes of ${stream} (${String(from)} to ${String(to)}) are missing: ${gapReasons[reason]}`;
}
