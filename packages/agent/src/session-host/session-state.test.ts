import { SessionState } from "@outpost/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { StateMachine } from "./session-state.ts";

const states = fc.constantFrom(...SessionState.options);

test("whatever is asked in whichever order, only what the table allows happens", () => {
  fc.assert(
    fc.property(fc.array(states), (asked) => {
      const machine = new StateMachine();
      let past: SessionState = machine.state;
      for (const next of asked) {
        if (machine.mayBecome(next)) machine.become(next);
        else expect(() => machine.become(next)).toThrow(past);
        if (machine.state !== past) expect(machine.state).toBe(next);
        // The end is the end, and nothing opens twice.
        if (past === "closed" || past === "broken") expect(machine.state).toBe(past);
        if (past !== "opening") expect(machine.state).not.toBe("opening");
        expect(machine.live).toBe(!["closed", "broken"].includes(machine.state));
        past = machine.state;
      }
    }),
  );
});

test("a session is connected and disconnected as often as somebody comes and goes", () => {
  const machine = new StateMachine();
  for (const next of ["opened", "disconnected", "opened", "disconnected", "closed"] as const)
    machine.become(next);
  expect(machine.live).toBe(false);
});
