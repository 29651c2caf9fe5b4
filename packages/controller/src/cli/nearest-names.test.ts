import { ErrorCode, OutpostError } from "@outpost/protocol";
import { expect, test } from "vitest";
import { type NameSource, withNearestNames } from "./nearest-names.ts";

const hosts = [
  { name: "web1", labels: { role: "web" } },
  { name: "web2", labels: { role: "web" } },
  { name: "db1", labels: { role: "db" } },
];
const client = {
  hosts: async () => hosts,
  jobs: async () => [{ job: "4k7mabcdefgh", name: "nightly" }, { job: "zzzzzzzzzzzz" }],
  sessions: async () => [
    { host: "web1", status: { session: "4k7mabcdefgh", name: "deploy" } },
    { host: "web1", status: { session: "zzzzzzzzzzzz" } },
  ],
  job: async () => ({ hosts: [{ host: "web2" }] }),
} as unknown as NameSource;
const notFound = (data: Record<string, unknown>): OutpostError =>
  new OutpostError(ErrorCode.notFound, "there is no such thing", { data });

test.each([
  [{ target: "webb" }, "web1 or web2"],
  [{ target: "bd1" }, "db1"],
  [{ target: "wbe1", missing: ["wbe1"] }, "web1"],
  [{ target: "bd1,wbe[1-2]", missing: ["bd1", "wbe1", "wbe2"] }, "db1 or web1 or web2"],
  [{ target: "role=wbe" }, "role=web"],
  [{ session: "depoly" }, "deploy"],
  [{ session: "4k7mabcdefhg" }, "4k7mabcdefgh"],
  [{ job: "nigthly" }, "nightly"],
  [{ job: "4k7n" }, "4k7mabcdefgh"],
  [{ job: "4k7mabcdefhg" }, "4k7mabcdefgh"],
  [{ job: "4k7mabcdefgh", host: "web1" }, "web2"],
])("%j may have meant %s", async (data, names) => {
  const error = await withNearestNames(notFound(data), client);
  expect(error).toMatchObject({
    code: "not_found",
    message: `there is no such thing. Did you mean ${names}?`,
    data: { ...data, nearest: names.split(" or ") },
  });
});

test.each([{ target: "mail" }, { target: "mail*" }, { job: "weekly" }, { job: "zz" }, {}])(
  "%j has no neighbours",
  async (data) => {
    const error = notFound(data);
    expect(await withNearestNames(error, client)).toBe(error);
  },
);

test("other errors stay as they are, and so does one whose neighbours cannot be asked for", async () => {
  const other = new OutpostError(ErrorCode.denied, "no", { data: { target: "webb" } });
  expect(await withNearestNames(other, client)).toBe(other);
  const error = notFound({ target: "webb" });
  const cut = { ...client, hosts: () => Promise.reject(new Error("cut")) };
  expect(await withNearestNames(error, cut)).toBe(error);
});
