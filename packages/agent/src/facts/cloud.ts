/** Which cloud this host runs in, by what its firmware says (DMI): nothing is asked over the network. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** Files of /sys/class/dmi/id, which everybody may read. */
const fields = ["sys_vendor", "product_name", "board_vendor", "chassis_asset_tag", "bios_vendor"] as const;
export type Firmware = Readonly<Partial<Record<(typeof fields)[number], string>>>;

/** As documented by these clouds for telling that one runs there. */
const clouds: readonly (readonly [cloud: string, is: (firmware: Firmware) => boolean])[] = [
  ["aws", ({ sys_vendor: vendor, bios_vendor: bios }) => vendor === "Amazon EC2" || bios === "Amazon EC2"],
  // Hyper-V has the same vendor everywhere; the tag is Azure's alone.
  ["azure", ({ chassis_asset_tag: tag }) => tag === "7783-7084-3265-9085-8269-3286-77"],
  ["gcp", ({ product_name: product }) => product === "Google Compute Engine"],
  ["digitalocean", ({ sys_vendor: vendor }) => vendor === "DigitalOcean"],
  ["hetzner", ({ sys_vendor: vendor }) => vendor === "Hetzner"],
  ["oracle", ({ chassis_asset_tag: tag }) => tag === "OracleCloud.com"],
  ["alibaba", ({ sys_vendor: vendor }) => vendor === "Alibaba Cloud"],
  ["scaleway", ({ sys_vendor: vendor }) => vendor === "Scaleway"],
  ["vultr", ({ sys_vendor: vendor }) => vendor === "Vultr"],
  ["linode", ({ sys_vendor: vendor }) => vendor === "Linode" || vendor === "Akamai"],
  ["upcloud", ({ sys_vendor: vendor }) => vendor === "UpCloud"],
  ["exoscale", ({ product_name: product }) => product?.startsWith("Exoscale") === true],
  ["ovh", ({ sys_vendor: vendor, board_vendor: board }) => (vendor ?? board)?.startsWith("OVH") === true],
  ["openstack", ({ product_name: product }) => product?.startsWith("OpenStack") === true],
];

/** `undefined`: none, or none that says so. */
export async function cloud(folder = "/sys/class/dmi/id"): Promise<string | undefined> {
  const texts = await Promise.all(
    fields.map(async (field) => {
      const text = await readFile(join(folder, field), "utf8").catch(() => undefined);
      return text === undefined ? [] : [[field, text.trim()] as const];
    }),
  );
  return cloudOf(Object.fromEntries(texts.flat()));
}

export function cloudOf(firmware: Firmware): string | undefined {
  return clouds.find(([, is]) => is(firmware))?.[0];
}
