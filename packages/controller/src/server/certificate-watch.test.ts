import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OperatorsAuthority } from "@outpost/access";
import { type OutpostError, newOperatorId } from "@outpost/protocol";
import { FakeClock } from "@outpost/protocol/testing";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Authorities } from "./authorities.ts";
import { Authority } from "./authority.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { Connections } from "./connections.ts";
import { controllerPaths } from "./directory.ts";
import { ServerCertificate, writeServer } from "./server-certificate.ts";

const log = pino({ level: "silent" });
const dayMs = 24 * 60 * 60 * 1000;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "outpost-watch-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("the server's certificate is issued anew when a third of its life is left, and shown from then on", async () => {
  const paths = controllerPaths(directory);
  const { authority } = await Authority.create();
  const operators = (await OperatorsAuthority.create()).credentials.certificate;
  await writeServer(paths, await authority.issueServer(["controller.example", "10.0.0.1"]));
  const certificate = await ServerCertificate.open(paths, authority, log);
  const before = new X509Certificate(certificate.credentials.certificate);
  const clock = new FakeClock(Date.now());
  const connections = new Connections();
  const ended: OutpostError[] = [];
  const connection = {
    close: () => Promise.resolve(),
    abort: (error: OutpostError) => void ended.push(error),
  };
  const forever = new Promise<void>(() => {});
  connections.add(connection, forever, {
    kind: "operator",
    id: newOperatorId(),
    expiresAt: clock.now() + 10 * dayMs,
  });
  const endExpired = vi.fn();
  const changed = vi.fn();
  using watch = new CertificateWatch({
    authorities: Authorities.inMemory(authority, operators, paths),
    certificate,
    connections,
    presence: { endExpired } as never,
    rotation: { tidy: () => Promise.resolve() } as never,
    clock,
    settings: { certificateCheckMs: dayMs },
    log,
    changed,
  });
  expect(watch).toBeDefined();
  // One look a day; each ends before the next is set.
  const pass = async (days: number): Promise<void> => {
    for (let day = 0; day < days; day++) {
      await clock.advance(dayMs);
      await vi.waitUntil(() => clock.pending > 0);
    }
  };
  await pass(9);
  expect(ended).toEqual([]);
  await pass(2);
  expect(ended[0]).toMatchObject({ code: "denied", message: expect.stringContaining("has expired at") });
  await pass(48);
  expect(changed).not.toHaveBeenCalled();
  await pass(3);
  expect(changed).toHaveBeenCalled();
  const after = new X509Certificate(certificate.credentials.certificate);
  expect(after.serialNumber).not.toBe(before.serialNumber);
  expect(after.subjectAltName).toBe(before.subjectAltName);
  expect(endExpired).toHaveBeenCalledTimes(62);
  // As it is on disk.
  const { credentials } = await ServerCertificate.open(paths, authority, log);
  expect(new X509Certificate(credentials.certificate).serialNumber).toBe(after.serialNumber);
});
