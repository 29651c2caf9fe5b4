import { describe, expect, test } from "vitest";
import { ErrorCode, OutpostError } from "./errors.ts";

describe("from anything thrown", () => {
  test.each([
    [new OutpostError("busy", "later"), "busy", "later"],
    [AbortSignal.abort().reason, "cancelled", "the request was cancelled"],
    [new DOMException("x", "TimeoutError"), "timeout", "the request timed out"],
    [new TypeError("a fault"), "internal", "a fault"],
    ["text", "internal", "text"],
    [undefined, "internal", "undefined"],
  ] as const)("%s", (reason, code, message) => {
    expect(OutpostError.from(reason)).toMatchObject({ code, message });
  });

  test("what is no error of ours may be given another code", () => {
    expect(OutpostError.from("x", ErrorCode.diskFull).code).toBe("disk_full");
  });
});

describe("over the wire", () => {
  test.each(Object.values(ErrorCode))("%s comes back as it was", (code) => {
    const error = new OutpostError(code, "a sentence", {
      data: { host: "web1" },
      cause: new Error("stays at home"),
    });
    const back = OutpostError.fromWire(error.toWire());
    expect(back).toMatchObject({ code, message: "a sentence", data: { host: "web1" } });
    expect(back.cause).toBeUndefined();
  });

  test("no data is no field", () => {
    expect(new OutpostError("busy", "later").toWire()).toEqual({ code: "busy", message: "later" });
  });

  test("a code of a newer peer is kept beside internal", () => {
    const wire = { code: "quota_of_tomorrow", message: "too much", data: { host: "web1" } };
    expect(OutpostError.fromWire(wire)).toMatchObject({
      code: "internal",
      message: "too much",
      data: { host: "web1", code: "quota_of_tomorrow" },
    });
  });
});
