import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Mark } from "./marks.ts";
import { PromptState } from "./prompt-state.ts";

type Kind = Exclude<Mark["kind"], "done" | "runBegins" | "runEnds">;

/** A shell that behaves as bash does, its line editor with it, and what `PromptState` makes of it. */
class ModelShell {
  foregroundIsShell = true;
  readonly state: PromptState;
  readonly #showsCommands: boolean;
  atPrompt = false;
  line = "";
  /** Typed and not read by the shell yet. */
  ahead = "";

  constructor(integration: "bash" | "sh") {
    this.#showsCommands = integration === "bash";
    this.state = new PromptState({ integration, foregroundIsShell: () => this.foregroundIsShell });
  }

  mark(...kinds: readonly Kind[]): void {
    for (const kind of kinds) this.state.mark({ kind, offset: 0 });
  }

  prompt(): void {
    this.foregroundIsShell = true;
    this.state.mark({ kind: "done", status: 0, offset: 0 });
    this.mark("prompt", "input");
    this.atPrompt = true;
    const ahead = this.ahead;
    this.ahead = "";
    for (const key of ahead) this.#read(key);
  }

  type(keys: string): void {
    this.state.typed(Buffer.from(keys));
    for (const key of keys) {
      if (this.atPrompt) this.#read(key);
      else this.ahead += key;
    }
  }

  /** Ctrl-L, or the window's size has changed: a real bash shows nothing but the end of the prompt. */
  redraw(): void {
    if (this.atPrompt) this.mark("input");
  }

  #read(key: string): void {
    if (!this.atPrompt) {
      this.ahead += key;
      return;
    }
    switch (key) {
      case "\r":
        if (this.line === "") {
          this.prompt();
          break;
        }
        this.line = "";
        this.atPrompt = false;
        this.foregroundIsShell = false;
        if (this.#showsCommands) this.mark("command");
        break;
      case "\u0003":
        this.line = "";
        this.prompt();
        break;
      case "\u0015":
        this.line = "";
        break;
      case "\u007f":
        this.line = Array.from(this.line).slice(0, -1).join("");
        break;
      case "\u0010": // Ctrl-P: a line of the history.
        this.line = "from the history";
        break;
      default:
        this.line += key;
    }
  }
}

const keys = fc.string({
  unit: fc.constantFrom("a", "b", "é", "\r", "\u0003", "\u0015", "\u007f", "\u0010"),
});
const step = fc.oneof(
  keys.map((typed) => (shell: ModelShell) => shell.type(typed)),
  fc.constant((shell: ModelShell) => {
    if (!shell.atPrompt) shell.prompt();
  }),
  fc.constant((shell: ModelShell) => shell.redraw()),
);

test.each(["bash", "sh"] as const)(
  "whatever is typed when, %s is never thought free when it is not",
  (integration) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const shell = new ModelShell(integration);
        shell.prompt();
        // The first command shows bash's C; until then Enter alone has to do.
        for (const act of steps) {
          act(shell);
          const { state } = shell;
          if (!shell.atPrompt) expect(state.availability).toBe("busy");
          if (shell.atPrompt && shell.line !== "") expect(state.mayHoldText).toBe(true);
          if (state.halfTyped) expect(state.mayHoldText).toBe(true);
        }
        // And it finds its way back.
        if (!shell.atPrompt) shell.prompt();
        if (!shell.atPrompt) return;
        shell.type("\u0003");
        expect(shell.state).toMatchObject({
          availability: "available",
          halfTyped: false,
          mayHoldText: false,
        });
      }),
      { numRuns: 2000 },
    );
  },
);

describe("the line", () => {
  const fresh = (): ModelShell => {
    const shell = new ModelShell("bash");
    shell.prompt();
    return shell;
  };

  test.each([
    ["focus", "\u001b[I\u001b[O"],
    ["cursor and device reports", "\u001b[12;1R\u001b[?62;22c\u001b[>0;10;1c\u001b[0n"],
    ["colours", "\u001b]11;rgb:0000/0000/0000\u001b\\\u001b]4;1;rgb:ff/ff/ff\u0007"],
    ["the mouse", "\u001b[<0;10;10M\u001b[<0;10;10m"],
    ["Ctrl-L", "\u000c"],
    ["characters that were deleted again", "aé\u007f\u007f\u007f"],
    ["what was killed", "abc\u0015"],
    ["an empty paste", "\u001b[200~\u001b[201~"],
  ])("is empty after %s", (_, typed) => {
    const shell = fresh();
    shell.state.typed(Buffer.from(typed));
    expect(shell.state).toMatchObject({ halfTyped: false, mayHoldText: false });
  });

  test.each([
    ["a character", "a"],
    ["arrow up", "\u001b[A"],
    ["arrow up in application mode", "\u001bOA"],
    ["Escape", "\u001b"],
    ["Tab", "\t"],
    ["Ctrl-R", "\u0012"],
    ["a paste", "\u001b[200~x\u001b[201~"],
    ["Alt-.", "\u001b."],
  ])("may hold something after %s", (_, typed) => {
    const shell = fresh();
    shell.state.typed(Buffer.from(typed));
    expect(shell.state).toMatchObject({ halfTyped: true, mayHoldText: true });
  });

  test("typed while something ran may be the program's or the shell's: not busy, but to be given up", () => {
    const shell = fresh();
    shell.type("less\r");
    shell.type("q");
    shell.prompt();
    expect(shell.state).toMatchObject({ availability: "available", halfTyped: false, mayHoldText: true });
    shell.type("x");
    expect(shell.state.halfTyped).toBe(true);
  });

  test("that goes on over several lines is half-typed", () => {
    const shell = fresh();
    shell.state.typed(Buffer.from("for i in 1\r"));
    shell.mark("continuation");
    expect(shell.state).toMatchObject({ availability: "available", halfTyped: true });
    shell.mark("prompt", "input");
    expect(shell.state.halfTyped).toBe(false);
  });
});

test("listeners are told of changes, each once, until they leave", () => {
  const shell = new ModelShell("bash");
  const seen: string[] = [];
  const leave = shell.state.onChange(() =>
    seen.push(`${shell.state.availability}${shell.state.halfTyped ? " half-typed" : ""}`),
  );
  shell.prompt();
  shell.type("ls");
  shell.type("\r");
  shell.prompt();
  leave();
  shell.type("ls\r");
  expect(seen).toEqual(["available", "available half-typed", "busy", "available"]);
});

test("without integration the terminal's foreground tells", async () => {
  let foregroundIsShell = true;
  const state = new PromptState({ integration: "none", foregroundIsShell: () => foregroundIsShell });
  expect(state.availability).toBe("available");
  const changed = new Promise<void>((resolve) => void state.onChange(resolve));
  foregroundIsShell = false;
  // The poll does not keep the process alive; the test does.
  const awake = setInterval(() => {}, 100);
  await changed;
  clearInterval(awake);
  expect(state).toMatchObject({ availability: "busy", halfTyped: false });
});
