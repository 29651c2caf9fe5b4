/** The controller process, composed: everything is made, joined and ended here and nowhere else. */
import {
  agentMethods,
  controllerAgentMethods,
  controllerEnrolmentMethods,
  controllerOperatorMethods,
  enrolmentMethods,
  ErrorCode,
  type MessageSocket,
  operatorMethods,
  OutpostError,
  Peer,
  systemClock,
} from "@outpost/protocol";
import type { Logger } from "pino";
import { Admission } from "./admission.ts";
import { Audit } from "./audit.ts";
import type { Authorities } from "./authorities.ts";
import { Catalogue } from "./catalogue/catalogue.ts";
import { CertificateWatch } from "./certificate-watch.ts";
import { CollectedStore } from "./collected-store.ts";
import type { Collector } from "./collector.ts";
import type { ControllerPaths } from "./directory.ts";
import { Doors, type Visitor } from "./doors.ts";
import { AgentHandlers } from "./handlers/agent.ts";
import { enrolmentHandlers } from "./handlers/enrolment.ts";
import type { OperatorPeer } from "./handlers/guard.ts";
import { operatorHandlers } from "./handlers/operator.ts";
import type { MetricsAddress, MetricsListener } from "./metrics/listener.ts";
import type { ControllerMetrics } from "./metrics/metrics.ts";
import { MetricsPage } from "./metrics/page.ts";
import { observers } from "./observer.ts";
import { PolicyFile } from "./policy-file.ts";
import { Refusals } from "./refusals.ts";
import type { ServerCertificate } from "./server-certificate.ts";
import { ControllerServer, type ServerTrust } from "./server.ts";
import { composeServices, type Services } from "./services.ts";
import type { ControllerSettings } from "./settings.ts";
import type { Tracing } from "./tracing/tracing.ts";

export interface ControllerOptions {
  readonly paths: ControllerPaths;
  readonly authorities: Authorities;
  readonly certificate: ServerCertificate;
  readonly settings: ControllerSettings;
  readonly log: Logger;
  /** Metrics are offered: to operators alone, or at this address, too. Default: nothing is measured. */
  readonly metrics?: "operators" | MetricsAddress | undefined;
  /** Default: nothing is traced. */
  readonly tracing?: Tracing | undefined;
}

/** What has to be opened before anything can be composed. */
interface Opened {
  readonly store: CollectedStore;
  readonly audit: Audit;
  readonly policy: PolicyFile;
  readonly metrics: ControllerMetrics | undefined;
}

const purgeEveryMs = 60 * 60 * 1000;

export class Controller implements AsyncDisposable {
  readonly #services: Services;
  readonly #server: ControllerServer;
  readonly #collector: Collector;
  readonly #certificate: ServerCertificate;
  readonly #certificateWatch: CertificateWatch;
  readonly #closed = Promise.withResolvers<void>();
  readonly #tracing: Tracing | undefined;
  #metricsListener: MetricsListener | undefined;
  #port = 0;
  #closing: Promise<void> | undefined;
  #cancelPurge = (): void => {};

  private constructor(options: ControllerOptions, { store, audit, policy, metrics }: Opened) {
    const { paths, authorities, certificate, settings, log, tracing } = options;
    const catalogue = new Catalogue(paths.catalogue);
    const clock = systemClock;
    const changed = (): void => this.#server.renew(this.#trust);
    const observer = observers([metrics, tracing].filter((one) => one !== undefined));
    const { services, collector } = composeServices({
      catalogue,
      authorities,
      certificate,
      trustChanged: changed,
      audit,
      policy,
      store,
      inputsDirectory: paths.inputs,
      observer,
      clock,
      settings,
      log,
    });
    this.#services = services;
    this.#collector = collector;
    this.#certificate = certificate;
    this.#tracing = tracing;
    const { operators, presence, connections, rotation, authorisation } = services;
    const refusals = new Refusals({ catalogue, presence, audit, clock, log });
    const doors = new Doors({ authorities, catalogue, operators, presence, refusals, clock });
    const admission = new Admission(settings);
    metrics?.watch({ services, admission, certificate });
    const page = new MetricsPage({ doors, authorisation, audit, clock, metrics });
    this.#server = new ControllerServer({
      trust: this.#trust,
      admission,
      waiting: settings,
      arrivalTimeoutMs: settings.arrivalTimeoutMs,
      admit: (caller) => doors.admit(caller),
      accept: (visitor, socket, greeted) => this.#accept(visitor, socket, greeted),
      fault: (error) => this.#fault(error, "upgrade"),
      page: (caller) => page.answer(caller),
      observer,
    });
    this.#certificateWatch = new CertificateWatch({
      authorities,
      certificate,
      connections,
      presence,
      rotation,
      clock,
      settings,
      log,
      changed,
    });
  }

  /** Opens everything, takes up what is unfinished, and listens. @throws OutpostError as `startController` */
  static async start(options: ControllerOptions, host: string, port: number): Promise<Controller> {
    const { paths, settings, log, metrics: offered } = options;
    const metrics = offered === undefined ? undefined : await createMetrics();
    const store = await CollectedStore.open(paths.collected, settings.maxCollectedBytes);
    const audit = Audit.open(paths.audit, systemClock, log);
    const policy = await PolicyFile.open({ file: paths.policy, audit, clock: systemClock, log }).catch(
      (error: unknown) => {
        audit[Symbol.dispose]();
        throw error;
      },
    );
    const controller = new Controller(options, { store, audit, policy, metrics });
    try {
      controller.#services.launch.resume();
      if (metrics !== undefined && typeof offered === "object") {
        const { MetricsListener } = await import("./metrics/listener.ts");
        controller.#metricsListener = await MetricsListener.listen(metrics, offered);
      }
      controller.#port = await controller.#server.listen(host, port);
      controller.#purge();
      return controller;
    } catch (error) {
      await controller[Symbol.asyncDispose]();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  /** Where metrics are served in the clear, if they are. */
  get metricsPort(): number | undefined {
    return this.#metricsListener?.port;
  }

  /** Resolves when the controller has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Says goodbye to everybody, writes down what is not written yet, and ends. Jobs go on. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { catalogue, presence, connections, fanOuts, rollouts, sessions, policy, audit, settings, log } =
      this.#services;
    this.#cancelPurge();
    this.#certificateWatch[Symbol.dispose]();
    policy[Symbol.dispose]();
    this.#server.stop();
    this.#collector[Symbol.dispose]();
    rollouts[Symbol.dispose]();
    await connections.goodbye(settings.goodbyeRetryMs);
    this.#server.destroy();
    try {
      fanOuts[Symbol.dispose]();
      sessions[Symbol.dispose]();
      presence[Symbol.dispose]();
    } catch (error) {
      log.error({ err: error }, "the last changes could not be written; the hosts will report them again");
    }
    catalogue[Symbol.dispose]();
    audit[Symbol.dispose]();
    await this.#services.inputs[Symbol.asyncDispose]();
    await this.#metricsListener?.[Symbol.asyncDispose]();
    await this.#tracing?.[Symbol.asyncDispose]();
    this.#closed.resolve();
  }

  get #trust(): ServerTrust {
    const { authorities } = this.#services;
    return {
      credentials: this.#certificate.credentials,
      authority: authorities.current.certificate,
      authorities: [...authorities.ofHosts, authorities.operators].map(({ certificate }) => certificate),
    };
  }

  #accept(visitor: Visitor, socket: MessageSocket, greeted: () => void): void {
    switch (visitor.kind) {
      case "newcomer":
        return this.#acceptNewcomer(socket);
      case "host":
        return this.#acceptAgent(visitor, socket, greeted);
      case "operator":
        return this.#acceptOperator(visitor, socket, greeted);
      default:
        return visitor satisfies never;
    }
  }

  /** It keeps its place until it is gone, which is soon. */
  #acceptNewcomer(socket: MessageSocket): void {
    const { connections, clock, settings } = this.#services;
    const { helloTimeoutMs } = settings;
    const peer = new Peer(socket, {
      local: controllerEnrolmentMethods,
      remote: enrolmentMethods,
      handlers: enrolmentHandlers(this.#services),
      fault: this.#fault,
      helloTimeoutMs,
    });
    const close = (reason: string): Promise<void> => peer.close(reason);
    connections.add({ close, abort: (error) => peer.abort(error) }, peer.closed);
    const cancel = clock.after(settings.enrolmentTimeoutMs, () =>
      peer.abort(new OutpostError(ErrorCode.timeout, "enrolling took too long")),
    );
    void peer.closed.then(cancel);
  }

  #acceptAgent(
    { host, certificate }: Visitor & { kind: "host" },
    socket: MessageSocket,
    greeted: () => void,
  ): void {
    const { presence, connections, settings, log } = this.#services;
    const { helloTimeoutMs } = settings;
    const handlers = new AgentHandlers(this.#services, host, greeted);
    const peer = new Peer(socket, {
      local: controllerAgentMethods,
      remote: agentMethods,
      handlers,
      fault: this.#fault,
      helloTimeoutMs,
    });
    handlers.peer = peer;
    presence.certified(host.id, certificate);
    // When its certificate ends, presence knows: another one may have been issued on this connection.
    connections.add(peer, peer.closed, { kind: "host", id: host.id });
    void peer.closed.then((reason) => {
      handlers.arrived();
      presence.disconnected(host.id, peer);
      log.info({ host: host.name, reason: reason.message }, "agent disconnected");
    });
  }

  #acceptOperator(
    { operator, expiresAt }: Visitor & { kind: "operator" },
    socket: MessageSocket,
    greeted: () => void,
  ): void {
    const { connections, operators, settings } = this.#services;
    const { helloTimeoutMs } = settings;
    const peer: OperatorPeer = new Peer(socket, {
      local: controllerOperatorMethods,
      remote: operatorMethods,
      handlers: operatorHandlers(this.#services, { operator, peer: () => peer }, greeted),
      fault: this.#fault,
      helloTimeoutMs,
    });
    connections.add(peer, peer.closed, { kind: "operator", id: operator.id, expiresAt });
    operators.seen(operator.id);
    void peer.closed.then(() => operators.seen(operator.id));
  }

  readonly #fault = (error: unknown, method: string): void => {
    this.#services.log.error({ err: error, method }, "a fault of ours while answering");
  };

  #purge(): void {
    const { fanOuts, sessions, clock, settings, log } = this.#services;
    const tooOld = clock.now() - settings.maxFanOutAgeMs;
    try {
      fanOuts.purge(tooOld);
      sessions.purge(tooOld);
    } catch (error) {
      log.warn({ err: error }, "old jobs and sessions could not be forgotten");
    }
    this.#cancelPurge = clock.after(purgeEveryMs, () => this.#purge());
  }
}

/** Loaded only then: with the library behind it, it is a few megabytes. */
async function createMetrics(): Promise<ControllerMetrics> {
  const [{ ControllerMetrics }, { softwareVersion }] = await Promise.all([
    import("./metrics/metrics.ts"),
    import("./greeting.ts"),
  ]);
  return new ControllerMetrics(softwareVersion);
}
