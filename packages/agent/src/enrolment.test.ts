import { createPrivateKey, X509Certificate } from "node:crypto";
import { createServer } from "node:net";
import { ErrorCode, HostName, OutpostError } from "@outpost/protocol";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { testOperators } from "@outpost/access/testing";
import { enrol } from "./enrolment.ts";
import { gatherOwnFacts } from "./facts/index.ts";
import { TestAuthority } from "./testing/authority.ts";
import { FakeController } from "./testing/controller.ts";
import { parseToken } from "./token.ts";

let controller: FakeController;
beforeEach(async () => {
  controller = await FakeController.start();
});
afterEach(() => controller[Symbol.asyncDispose]());

async function join(url = controller.url, token = controller.token()) {
  return enrol({
    url,
    token: parseToken(token),
    name: v.parse(HostName, "web1"),
    labels: { role: "web" },
    facts: await gatherOwnFacts("boot"),
  });
}

test("a host gets a certificate for a key that never left it", async () => {
  const secret = Buffer.alloc(24, 7);
  const { name, credentials } = await join(controller.url, controller.token(secret));
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
  await expect(join(controller.url, other.token(controller.operators.authority))).rejects.toMatchObject({
    code: ErrorCode.denied,
    message: expect.stringContaining("is not the one that made this token"),
  });
  expect(controller.enrolments).toEqual([]);
});

test("a server that shows the right CA but is not signed by it sees no secret", async () => {
  const right = await TestAuthority.create();
  await using impostor = await FakeController.start(right);
  await expect(join(impostor.url, right.token(controller.operators.authority))).rejects.toMatchObject({
    code: ErrorCode.denied,
  });
  expect(impostor.enrolments).toEqual([]);
});

test("the host believes the controller's CAs and the token's operators, and is called as the controller says", async () => {
  const incoming = await TestAuthority.create();
  controller.bundle = controller.authority.certificate + incoming.certificate;
  controller.quarantined = true;
  const { credentials, labels, quarantined } = await join();
  expect(credentials.authority).toBe(controller.bundle);
  expect(credentials.operators).toBe(controller.operators.authority);
  expect([labels, quarantined]).toEqual([{ role: "web" }, true]);
});

test("a controller that shows other operators than the token's is not believed", async () => {
  const others = (await testOperators()).authority;
  controller.shownOperators = others;
  await expect(join()).rejects.toMatchObject({
    code: ErrorCode.denied,
    message: expect.stringContaining("other authorities than those in the token"),
  });
  // Nor when it shows the right ones, too.
  controller.shownOperators = controller.operators.authority + others;
  await expect(join()).rejects.toMatchObject({ code: ErrorCode.denied });
});

test("a bundle without the CA of the token is not believed", async () => {
  controller.bundle = (await TestAuthority.create()).certificate;
  await expect(join()).rejects.toMatchObject({ code: ErrorCode.protocolError });
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
    facts: await gatherOwnFacts("boot"),
  };
  const token = parseToken(controller.token());
  await expect(enrol({ ...options, token, signal })).rejects.toMatchObject({ code: ErrorCode.cancelled });
});
