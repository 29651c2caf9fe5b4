/** The kit's own test: what the other container tests rely on. */
import { Network } from "testcontainers";
import { expect, test } from "vitest";
import { Machine, programOf } from "./kit/machine.ts";
import { nextVersion } from "./kit/programs.ts";

test("a machine runs systemd, reboots with another boot id, and can be unplugged", async () => {
  await using network = await new Network().start();
  await using machine = await Machine.start({
    name: "web1",
    network,
    memoryFileSystems: { "/small": "size=1m" },
  });
  await using other = await Machine.start({ name: "web2", network });
  await machine.sh("test $(stat -fc %b /small) -lt 1000");
  const versions = await Promise.all(
    (["current", "next"] as const).map((release) =>
      other.run(programOf(release, "outpost-agent"), "--version"),
    ),
  );
  expect(versions).toEqual([versions[0], `${nextVersion(versions[0]!.trim())}\n`]);
  const bootId = await machine.sh("cat /proc/sys/kernel/random/boot_id; touch /tmp/gone /kept");
  await machine.reboot();
  expect(await machine.sh("cat /proc/sys/kernel/random/boot_id")).not.toBe(bootId);
  expect(await machine.sh("ls /kept /tmp")).toBe("/kept\n\n/tmp:\n");
  const reach = "exec 3<>/dev/tcp/web1/7";
  const refused = await other.attempt("bash", "-c", reach);
  expect(refused.stderr).toContain("Connection refused");
  await machine.unplug();
  expect((await other.attempt("bash", "-c", `timeout 1 ${reach}`)).exitCode).not.toBe(0);
  expect(await machine.sh("ip -o addr show scope global")).toBe("");
  await machine.plug();
  expect((await other.attempt("bash", "-c", reach)).stderr).toContain("Connection refused");
});
