/** systemctl and journalctl that manage one unit in a folder: it is active when its program runs, and fails when not. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Systemd } from "../systemd.ts";

export class FakeSystemd {
  readonly systemd: Systemd;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "calls"), "");
    writeFileSync(join(folder, "state"), "inactive dead 0");
    this.systemd = new Systemd({
      units: join(folder, "units"),
      systemctl: this.#script("systemctl", systemctl),
      journalctl: this.#script("journalctl", journalctl),
    });
  }

  /** What systemctl was called with, but for `show`. */
  get calls(): string[] {
    return readFileSync(join(this.#folder, "calls"), "utf8").split("\n").slice(0, -1);
  }

  #script(name: string, text: string): string {
    const file = join(this.#folder, name);
    writeFileSync(file, `#!/bin/sh\ncd '${this.#folder}' || exit 1\n${text}`);
    chmodSync(file, 0o755);
    return file;
  }
}

/** `state` holds ActiveState, SubState, MainPID. A start runs what the unit names with `--start`. */
const systemctl = `
[ "$1" = show ] || echo "$*" >>calls
read -r active sub pid <state
case $1 in
  show)
    [ -e "units/$2" ] && load=loaded || load=not-found
    printf '%s\\n' LoadState=$load ActiveState=$active SubState=$sub MainPID=$pid NRestarts=3 'StatusText=connected = well' Result=exit-code
    ;;
  restart)
    exec=$(sed -n 's/^ExecStart=//p' "units/$3")
    if $exec --start >log 2>&1; then echo "active running $((pid + 1))" >state
    else echo "activating auto-restart 0" >state; fi
    ;;
  stop) echo "inactive dead 0" >state ;;
  enable) [ -e units/stubborn ] && { echo "Failed to enable unit: no" >&2; exit 1; } ;;
esac
exit 0
`;
const journalctl = `
[ "$1" = --sync ] && exit 0
echo 'x.service: Unit process 12 (sh) remains running after unit stopped.'
cat log
echo '{"level":30,"msg":"a line of ours"}'
`;
