/** What of an attachment's events is to be seen on the terminal, and what is said in one line between. */
import type {
  AttachmentEvent,
  SessionChangedEvent,
  SessionGapEvent,
  SessionNoticeEvent,
  SessionRepaintEvent,
} from "../../client/index.ts";
import { bytesText } from "../render/bytes-text.ts";
import { printable } from "../render/printable.ts";
import { clearScreen, restoreModes, scrollAway } from "./sequences.ts";
import type { Terminal } from "./terminal.ts";

export class SessionScreen {
  readonly #terminal: Terminal;
  /** What the session is called on the command line. */
  readonly #reference: string;
  #role: "control" | "watch" | undefined;
  #saidSize = "";
  /** What is on the screen is not the session's, or says something: it goes to the scrollback. */
  #keepsScreen = true;

  constructor(terminal: Terminal, reference: string) {
    this.#terminal = terminal;
    this.#reference = reference;
  }

  /** Resolves when the terminal has taken it. */
  async show(event: AttachmentEvent): Promise<void> {
    switch (event.type) {
      case "output":
        await this.#terminal.write(event.bytes);
        return;
      case "repaint":
        await this.#repaint(event);
        return;
      case "opened":
        this.#role = event.role;
        // What follows is the session's, and without a repaint goes on behind what stands there.
        return;
      case "gap":
        await this.#gap(event);
        return;
      case "changed":
        await this.#changed(event);
        return;
      case "notice":
        await this.#notice(event);
        return;
      case "end":
        return;
      default:
        event satisfies never;
    }
  }

  /** A line of ours. */
  async say(text: string): Promise<void> {
    await this.#terminal.write(`\r\n\u001b[0m[outpost: ${printable(text)}]\r\n`);
  }

  async #repaint({ columns, rows, bytes }: SessionRepaintEvent): Promise<void> {
    const away = this.#keepsScreen ? scrollAway(this.#terminal.size.rows) : "";
    this.#keepsScreen = false;
    await this.#terminal.write(`${restoreModes}${away}${clearScreen}`);
    await this.#terminal.write(bytes);
    await this.#saySize({ columns, rows });
  }

  async #gap({ from, to, reason }: SessionGapEvent): Promise<void> {
    if (reason === "received") return;
    const size = bytesText(to - from);
    const why =
      reason === "lagging"
        ? `skipped, because this terminal was behind; see: outpost session receive ${this.#reference}`
        : "missing: the host keeps no more";
    this.#keepsScreen = true;
    await this.say(`${size} of output ${why}`);
  }

  async #changed({ role, columns, rows, by }: SessionChangedEvent): Promise<void> {
    const before = this.#role;
    this.#role = role;
    if (role === "watch" && before === "control") {
      await this.say(
        `${by === undefined ? "" : `${by} took over; `}you only watch now; ~t takes control back`,
      );
    } else if (role === "control" && before === "watch") {
      await this.say("you control the session now");
    }
    await this.#saySize({ columns, rows });
  }

  async #notice({ host, code, message }: SessionNoticeEvent): Promise<void> {
    if (code === "controller_reconnecting") await this.say(`${host}: ${message} …`);
    else if (code === "host_unreachable") await this.say(`${message} …`);
    // That it is back is to be seen: the screen is painted again.
  }

  /** Once for each size: lines that are broken elsewhere look wrong, and it should be known why. */
  async #saySize({ columns, rows }: { readonly columns: number; readonly rows: number }): Promise<void> {
    const own = this.#terminal.size;
    const said = `${String(columns)}×${String(rows)} ${String(own.columns)}×${String(own.rows)}`;
    if (this.#role !== "watch" || said === this.#saidSize) return;
    this.#saidSize = said;
    if (columns === own.columns && rows === own.rows) return;
    const sizes = said.split(" ");
    await this.say(`the session is ${sizes[0]!}, this terminal ${sizes[1]!}: it may look wrong`);
  }
}
