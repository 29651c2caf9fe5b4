/** An agent as people ran it before there was `outpost-agent install`: joined by hand, under a unit of their own. */
import { type Machine, programOf } from "./machine.ts";
import type { Release } from "./programs.ts";

export const unitByHand = "my-agent.service";

/** @param release whose agent it is */
export async function startByHand(machine: Machine, release: Release): Promise<void> {
  await machine.writeFile(
    `/etc/systemd/system/${unitByHand}`,
    `[Service]
ExecStart=/usr/local/bin/node ${programOf(release, "outpost-agent")} start
Restart=always
KillMode=process
[Install]
WantedBy=multi-user.target
`,
  );
  await machine.run("systemctl", "enable", "--now", unitByHand);
}
