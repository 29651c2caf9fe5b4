import { createPrivateKey, X509Certificate } from "node:crypto";
import { createServer } from "node:net";
import { ErrorCode, HostName, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { enrol } from "./enrolment.ts";
import { gatherFacts } from "./facts.ts";
import { TestAuthority } from "./testing/authority.ts";
import { FakeController } from "./testing/controller.ts";
import { parseToken } from "./token.ts";

let controller: FakeController;
beforeEach(async () => {
  controller = await FakeController.start();
});
afterEach(() => controller[Symbol.asyncDispose]());

async function join(url = controller.url, token = controller.authority.token()) {
  return enrol({
    url,
    token: parseToken(token),
    name: v.parse(HostName, "web1"),
    labels: { role: "web" },
    facts: await gatherFacts("boot"),
  });
}

test("a host gets a certificate for a key that never left it", async () => {
  const secret = Buffer.alloc(24, 7);
  const { name, credentials } = await join(controller.url, controller.authority.token(secret));
  expect(name).toBe("web1");
  expect(controller.enrolments).toHaveLength(1);
  expect(controller.enrolments[0]).toMatchObject({
    name: "web1",
    labels: { role: "web" },
    secret: secret.toString("base64url"),
  });
  expect(JSON.stringify(controller.enrolments)).not.toContain("PRIVATE");
  const certificate = new X509Certificate(credentials.certificate);
  expect(certificate.checkPrivateKey(createPrivateKey(credentials.key))).toBe(true);
  expect(new X509Certificate(credentials.authority).fingerprint256).toBe(
    new X509Certificate(controller.authority.certificate).fingerprint256,
  );
});

test("a controller with another CA sees no secret", async () => {
  const other = await TestAuthority.create();
  await expect(join(controller.url, other.token())).rejects.toMatchObject({
    code: ErrorCode.denied,
    message: expect.stringContaining("is not the one that made this token"),
  });
  expect(controller.enrolments).toEqual([]);
});

test("a server that shows the right CA but is not signed by it sees no secret", async () => {
  const right = await TestAuthority.create();
  await using impostor = await FakeController.start(right);
  await expect(join(impostor.url, right.token())).rejects.toMatchObject({ code: ErrorCode.denied });
  expect(impostor.enrolments).toEqual([]);
});

test("a refused token and a taken name each say what to do", async () => {
  controller.refusal = new OutpostError(ErrorCode.denied, "the token expired at 12:00");
  await expect(join()).rejects.toMatchObject({
    code: ErrorCode.denied,
    message: expect.stringMatching(/refused the token: the token expired at 12:00.*outpost token create/),
  });
  controller.refusal = new OutpostError(ErrorCode.conflict, "enrolled on Monday");
  await expect(join()).rejects.toMatchObject({
    code: ErrorCode.conflict,
    message: expect.stringMatching(/has a host called web1 already: enrolled on Monday.*--name NAME/),
  });
});

test("an answer that was lost is asked for again, with the same request", async () => {
  controller.loseAnswers = 2;
  const { credentials } = await join();
  const requests = controller.enrolments.map(({ request }) => request);
  expect(requests).toHaveLength(3);
  expect(new Set(requests).size).toBe(1);
  expect(
    new X509Certificate(credentials.certificate).checkPrivateKey(createPrivateKey(credentials.key)),
  ).toBe(true);
});

test("nobody listens, or something that speaks no TLS", async () => {
  await expect(join("wss://127.0.0.1:1")).rejects.toMatchObject({
    code: ErrorCode.controllerUnreachable,
    message: expect.stringContaining("nothing listens at 127.0.0.1:1"),
  });
  const plain = createServer((socket) => socket.end("220 mail.example.com ESMTP\r\n"));
  await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const { port } = plain.address() as { port: number };
  await expect(join(`wss://127.0.0.1:${String(port)}`)).rejects.toMatchObject({
    code: ErrorCode.controllerUnreachable,
    message: expect.stringContaining("does not speak TLS"),
  });
  plain.close();
});

test("a signal that aborts ends it", async () => {
  const signal = AbortSignal.abort(new OutpostError(ErrorCode.cancelled, "no more"));
  const options = {
    url: controller.url,
    name: v.parse(HostName, "web1"),
    labels: {},
    facts: await gatherFacts("boot"),
  };
  const token = parseToken(controller.authority.token());
  await expect(enrol({ ...options, token, signal })).rejects.toMatchObject({ code: ErrorCode.cancelled });
});
