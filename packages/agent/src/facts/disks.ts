/** File systems on disks of this host, the root first. Network file systems are left out: one whose server has gone would
 * keep us waiting for ever. */
import { execFile } from "node:child_process";
import { readFile, statfs } from "node:fs/promises";
import { platform } from "node:os";
import { promisify } from "node:util";
import type { Facts } from "@outpost/protocol";

export type Disk = NonNullable<Facts["disks"]>[number];

const maxDisks = 16;
const maxPathLength = 256;

/** How long one file system may take to say how full it is, in milliseconds. */
const statfsTimeoutMs = 2_000;
const dfTimeoutMs = 5_000;

/** @throws where the system does not say what is mounted */
export async function disks(): Promise<Disk[]> {
  if (platform() === "darwin") {
    // -l: local ones only. -P: one line each.
    const { stdout } = await promisify(execFile)("/bin/df", ["-klP"], { timeout: dfTimeoutMs });
    return parseDf(stdout);
  }
  const mounts = parseMounts(await readFile("/proc/self/mounts", "utf8"));
  const found = await Promise.all(mounts.map(({ path }) => measured(path)));
  return found.filter((disk) => disk !== undefined);
}

async function measured(path: string): Promise<Disk | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), statfsTimeoutMs);
    timer.unref();
  });
  try {
    const answer = await Promise.race([statfs(path), late]);
    if (answer === undefined || answer.blocks === 0) return undefined;
    // `bavail` is what is left for users that are not root, as df(1) says it.
    return { path, sizeBytes: answer.blocks * answer.bsize, freeBytes: answer.bavail * answer.bsize };
  } catch {
    return undefined; // unmounted meanwhile, or closed to us
  } finally {
    clearTimeout(timer);
  }
}

export interface Mount {
  readonly device: string;
  readonly path: string;
}

/** File systems without a device that hold a host's files all the same. Overlays are what containers have as their root. */
const ofDisks: ReadonlySet<string> = new Set(["btrfs", "zfs", "bcachefs", "overlay"]);

/** Images that are mounted to be read: always full, and nobody's disk. */
const images: ReadonlySet<string> = new Set(["squashfs", "iso9660", "erofs", "udf"]);

/** What of /proc/self/mounts (fstab(5)'s format) is on disks: the root first, each device once, where it was mounted first. */
export function parseMounts(text: string): Mount[] {
  const mounts = text.split("\n").flatMap((line): Mount[] => {
    const [device, path, type] = line.split(" ").map(unescapeOctal);
    if (device === undefined || path === undefined || type === undefined || images.has(type)) return [];
    if (path.length > maxPathLength) return [];
    const isDisk = device.startsWith("/dev/") || ofDisks.has(type) || path === "/";
    // An overlay elsewhere than at the root is a container's, on a disk that is counted already.
    return isDisk && (type !== "overlay" || path === "/") ? [{ device, path }] : [];
  });
  // What was mounted over a path later is what is seen there.
  const seen = new Map(mounts.map((mount) => [mount.path, mount]));
  const rootFirst = [...seen.values()].sort(
    (left, right) => Number(right.path === "/") - Number(left.path === "/"),
  );
  const devices = new Set<string>();
  return rootFirst.filter(({ device }) => !devices.has(device) && devices.add(device)).slice(0, maxDisks);
}

/** Blanks, tabs, newlines and backslashes are written as octal numbers there. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCodePoint(Number.parseInt(digits, 8)),
  );
}

/** What `df -kP` says of devices. A volume of macOS' system group is one of the same disk as the root, and left out. */
export function parseDf(text: string): Disk[] {
  const found = text.split("\n").flatMap((line): Disk[] => {
    const match = /^\/dev\/\S+\s+(\d+)\s+-?\d+\s+(-?\d+)\s+\S+\s+(\/.*)$/.exec(line);
    if (match === null) return [];
    const [, size, free, path] = match;
    if (path!.startsWith("/System/Volumes/") || path!.length > maxPathLength) return [];
    return [{ path: path!, sizeBytes: Number(size) * 1024, freeBytes: Math.max(0, Number(free)) * 1024 }];
  });
  return found
    .sort((left, right) => Number(right.path === "/") - Number(left.path === "/"))
    .slice(0, maxDisks);
}
