import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Facts } from "@outpost/protocol";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { addresses } from "./addresses.ts";
import { cloud, cloudOf } from "./cloud.ts";
import { differ } from "./difference.ts";
import { parseDf, parseMounts } from "./disks.ts";
import { parseOsRelease } from "./os-release.ts";
import { gatherOwnFacts } from "./own-facts.ts";

test("this host's facts fit the protocol", async () => {
  const facts = v.parse(Facts, await gatherOwnFacts("boot"));
  expect(facts).toMatchObject({ bootId: "boot", platform: process.platform });
  expect(facts.disks?.[0]).toMatchObject({ path: "/" });
});

describe("os-release", () => {
  test.each([
    [
      'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
      { name: "Debian GNU/Linux 12 (bookworm)", id: "debian" },
    ],
    ["PRETTY_NAME='Alpine Linux v3.20'", { name: "Alpine Linux v3.20" }],
    ["PRETTY_NAME=Void", { name: "Void" }],
    ['PRETTY_NAME="The \\"Best\\" \\$ix"', { name: 'The "Best" $ix' }],
    ["ID=none\n", { name: "Linux", id: "none" }],
    ["PRETTY_NAME=\nID=x\nVERSION_ID=", { name: "Linux", id: "x" }],
    [
      'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"\n',
      { name: "Linux", id: "rocky", version: "9.4", like: ["rhel", "centos", "fedora"] },
    ],
  ])("%j", (text, expected) => expect(parseOsRelease(text)).toEqual(expected));
});

test("disks are what holds files of this host, each once, the root first", () => {
  const text = `sysfs /sys sysfs rw 0 0
/dev/sdb1 /srv/my\\040data xfs rw 0 0
/dev/sda1 / ext4 rw 0 0
tmpfs /run tmpfs rw 0 0
/dev/loop3 /snap/core/1 squashfs ro 0 0
/dev/sda1 /var/lib/docker ext4 rw 0 0
overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0
nas:/export /mnt/nas nfs4 rw 0 0
tank/home /home zfs rw 0 0
/dev/sr0 /media/cd iso9660 ro 0 0
`;
  expect(parseMounts(text).map(({ path }) => path)).toEqual(["/", "/srv/my data", "/home"]);
  expect(parseMounts("overlay / overlay rw 0 0\n")).toEqual([{ device: "overlay", path: "/" }]);
  expect(parseMounts("")).toEqual([]);
});

test("df of macOS", () => {
  const text = `Filesystem   1024-blocks      Used Available Capacity  Mounted on
/dev/disk3s5   971350180 300000000 650000000    32%    /System/Volumes/Data
/dev/disk3s1s1 971350180  10000000 650000000     2%    /
/dev/disk5s1      102400     20480     81920    20%    /Volumes/My Disk
map auto_home          0         0         0   100%    /System/Volumes/Data/home
`;
  expect(parseDf(text)).toEqual([
    { path: "/", sizeBytes: 971350180 * 1024, freeBytes: 650000000 * 1024 },
    { path: "/Volumes/My Disk", sizeBytes: 102400 * 1024, freeBytes: 81920 * 1024 },
  ]);
});

test("addresses are those by which others reach it, IPv4 first, each once", () => {
  const interface_ = (address: string, internal = false) =>
    ({ address, internal, family: address.includes(":") ? "IPv6" : "IPv4" }) as never;
  expect(
    addresses({
      lo: [interface_("127.0.0.1", true), interface_("::1", true)],
      eth0: [interface_("2001:db8::5"), interface_("10.0.0.5"), interface_("fe80::1")],
      eth1: [interface_("169.254.7.7"), interface_("192.168.0.2"), interface_("10.0.0.5")],
    }),
  ).toEqual(["10.0.0.5", "192.168.0.2", "2001:db8::5"]);
});

describe("the cloud, by the firmware", () => {
  test.each([
    [{ sys_vendor: "Amazon EC2", product_name: "m7g.large" }, "aws"],
    [{ sys_vendor: "Xen", bios_vendor: "Amazon EC2" }, "aws"],
    [{ sys_vendor: "Microsoft Corporation", chassis_asset_tag: "7783-7084-3265-9085-8269-3286-77" }, "azure"],
    [{ sys_vendor: "Microsoft Corporation", product_name: "Virtual Machine" }, undefined],
    [{ sys_vendor: "Google", product_name: "Google Compute Engine" }, "gcp"],
    [{ sys_vendor: "Hetzner", product_name: "vServer" }, "hetzner"],
    [{ sys_vendor: "QEMU", chassis_asset_tag: "OracleCloud.com" }, "oracle"],
    [{ sys_vendor: "Dell Inc." }, undefined],
    [{}, undefined],
  ])("%j", (firmware, expected) => expect(cloudOf(firmware)).toBe(expected));

  test("is read from files, some of which may not be there", async () => {
    const folder = await mkdtemp(join(tmpdir(), "outpost-dmi-"));
    await writeFile(join(folder, "sys_vendor"), "DigitalOcean\n");
    expect(await cloud(folder)).toBe("digitalocean");
    await rm(folder, { recursive: true });
    expect(await cloud(folder)).toBeUndefined();
  });
});

test("facts differ where somebody would see it", async () => {
  const disk = { path: "/", sizeBytes: 1_000, freeBytes: 500 };
  const facts: Facts = { ...(await gatherOwnFacts("boot")), disks: [disk] };
  const withDisk = (more: Partial<typeof disk>): Facts => ({ ...facts, disks: [{ ...disk, ...more }] });
  expect(differ(facts, structuredClone(facts))).toBe(false);
  expect(differ(facts, withDisk({ freeBytes: 475 }))).toBe(false);
  expect(differ(facts, withDisk({ freeBytes: 474 }))).toBe(true);
  expect(differ(facts, withDisk({ freeBytes: 526 }))).toBe(true);
  expect(differ(facts, withDisk({ sizeBytes: 1_001 }))).toBe(true);
  expect(differ(facts, { ...facts, disks: [] })).toBe(true);
  expect(differ(facts, { ...facts, custom: { rack: "r12" } })).toBe(true);
  expect(differ(facts, { ...facts, cpus: facts.cpus + 1 })).toBe(true);
});
