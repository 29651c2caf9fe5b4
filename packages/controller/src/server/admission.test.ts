import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Admission, networkOf } from "./admission.ts";
import { defaultControllerSettings } from "./settings.ts";

const settings = { ...defaultControllerSettings, maxHandshakes: 6, maxHandshakesPerNetwork: 2 };

describe("places", () => {
  test("one network takes its share, the others the rest, and each is given back once", () => {
    const admission = new Admission(settings);
    const first = admission.handshake("10.0.0.1");
    expect(admission.handshake("10.0.0.1")).toBeDefined();
    expect(admission.handshake("10.0.0.1")).toBeUndefined();
    for (const address of ["10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3"]) {
      expect(admission.handshake(address)).toBeDefined();
    }
    expect(admission.handshake("10.0.0.4")).toBeUndefined();
    first!();
    first!();
    expect(admission.handshake("10.0.0.4")).toBeDefined();
    expect(admission.handshake("10.0.0.4")).toBeUndefined();
  });

  test("of those who are greeted one host takes few, one operator its share, and neither the others' places", () => {
    const admission = new Admission({
      ...settings,
      maxGreetings: 6,
      maxGreetingsPerHost: 1,
      maxGreetingsPerOperator: 3,
    });
    const leave = admission.greet("host", "one");
    expect(admission.greet("host", "one")).toBeUndefined();
    expect(admission.greet("host", "two")).toBeDefined();
    for (let at = 0; at < 3; at++) expect(admission.greet("operator", "ada")).toBeDefined();
    expect(admission.greet("operator", "ada")).toBeUndefined();
    leave!();
    expect(admission.greet("host", "one")).toBeDefined();
    expect(admission.greet("operator", "grace")).toBeDefined();
    expect(admission.greet("host", "three")).toBeUndefined();
  });

  test("never more than allowed, whatever comes and goes", () => {
    const step = fc.record({ network: fc.integer({ min: 0, max: 5 }), leaves: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const admission = new Admission(settings);
        const held: { network: number; leave: () => void }[] = [];
        for (const { network, leaves } of steps) {
          if (leaves) {
            const at = held.findIndex((each) => each.network === network);
            if (at >= 0) held.splice(at, 1)[0]!.leave();
            continue;
          }
          const leave = admission.handshake(`10.0.0.${String(network)}`);
          const taken = held.filter((each) => each.network === network).length;
          expect(leave !== undefined).toBe(held.length < 6 && taken < 2);
          if (leave !== undefined) held.push({ network, leave });
        }
      }),
    );
  });
});

describe("networks", () => {
  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
    ["2001:db8:1:2::6", "2001:db8:1:2"],
    ["2001:db8::6", "2001:db8:0:0"],
    ["::1", "0:0:0:0"],
    ["fe80::1%eth0", "fe80:0:0:0"],
    ["", ""],
  ])("%s is of %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
