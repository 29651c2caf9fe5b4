/** Writes lines and halves of lines to stdout and stderr, with a status line below them or without: `node footer.ts SEED yes|no`. */
import { setTimeout } from "node:timers/promises";
import { dieOfInterrupt } from "../../interrupts.ts";
import { StatusLine } from "../progress/status-line.ts";
import { stderr, stdout } from "../sink.ts";
import { randomFrom } from "./synthetic.ts";

const [seed, has] = process.argv.slice(2);
const random = randomFrom(Number(seed));
let count = 0;
const status =
  has === "yes"
    ? StatusLine.begin({
        text: (columns) => `status ${"#".repeat(count++ % columns)}`.slice(0, columns),
        delayMs: 0,
      })
    : undefined;
for (let at = 0; at < 60; at++) {
  const text = `${String(at)} ${"x".repeat(Math.floor(random() * 70))}`;
  const sink = random() < 0.7 ? stdout : stderr;
  const color = random() < 0.2 ? "\u001b[3" + String(Math.floor(random() * 8)) + "m" : "";
  await sink.write(`${color}${text}${random() < 0.3 ? "" : "\n"}`);
  if (random() < 0.3) await setTimeout(120);
}
await stdout.write("\nshown\n");
// The status line is looked at, and then there is none.
if (process.argv[4] === "stays") {
  process.on("SIGINT", dieOfInterrupt);
  await setTimeout(60_000);
}
await status?.close();
await stdout.write("end\n");
