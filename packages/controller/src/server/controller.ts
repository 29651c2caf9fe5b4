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
import { Authorisation } from "./authorisation.ts";
import type { Authority, Credentials } from "./authority.ts";
import { Catalogue } from "./catalogue/catalogue.ts";
import { CollectedStore } from "./collected-store.ts";
import type { Collector } from "./collector.ts";
import { Connections } from "./connections.ts";
import type { ControllerPaths } from "./directory.ts";
import { AgentHandlers } from "./handlers/agent.ts";
import { enrolmentHandlers } from "./handlers/enrolment.ts";
import type { OperatorPeer } from "./handlers/guard.ts";
import { operatorHandlers } from "./handlers/operator.ts";
import type { Identity } from "./identity.ts";
import type { Host } from "./presence.ts";
import { ControllerServer, type Visitor } from "./server.ts";
import { composeServices, type Services } from "./services.ts";
import type { ControllerSettings } from "./settings.ts";

export interface ControllerOptions {
  readonly paths: ControllerPaths;
  readonly authority: Authority;
  readonly credentials: Credentials;
  readonly settings: ControllerSettings;
  readonly log: Logger;
}

const purgeEveryMs = 60 * 60 * 1000;

export class Controller implements AsyncDisposable {
  readonly #services: Services;
  readonly #server: ControllerServer;
  readonly #collector: Collector;
  readonly #connections = new Connections();
  readonly #closed = Promise.withResolvers<void>();
  #port = 0;
  #closing: Promise<void> | undefined;
  #cancelPurge = (): void => {};

  private constructor(options: ControllerOptions, store: CollectedStore) {
    const { paths, authority, credentials, settings, log } = options;
    const { services, collector } = composeServices({
      catalogue: new Catalogue(paths.catalogue),
      authority,
      authorisation: new Authorisation(),
      store,
      inputsDirectory: paths.inputs,
      clock: systemClock,
      settings,
      log,
    });
    this.#services = services;
    this.#collector = collector;
    this.#server = new ControllerServer({
      credentials,
      authority: authority.certificate,
      admission: new Admission(settings),
      isKnown: (identity) => this.#isKnown(identity),
      accept: (visitor, socket, greeted) => this.#accept(visitor, socket, greeted),
    });
  }

  /** Opens everything, takes up what is unfinished, and listens. @throws OutpostError as `startController` */
  static async start(options: ControllerOptions, host: string, port: number): Promise<Controller> {
    const store = await CollectedStore.open(options.paths.collected, options.settings.maxCollectedBytes);
    const controller = new Controller(options, store);
    try {
      controller.#services.launch.resume();
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
    const { catalogue, presence, fanOuts, sessions, settings, log } = this.#services;
    this.#cancelPurge();
    this.#server.stop();
    this.#collector[Symbol.dispose]();
    await this.#connections.goodbye(settings.goodbyeRetryMs);
    this.#server.destroy();
    try {
      fanOuts[Symbol.dispose]();
      sessions[Symbol.dispose]();
      presence[Symbol.dispose]();
    } catch (error) {
      log.error({ err: error }, "the last changes could not be written; the hosts will report them again");
    }
    catalogue[Symbol.dispose]();
    this.#closed.resolve();
  }

  #isKnown(identity: Identity): boolean {
    const { presence, catalogue } = this.#services;
    return identity.kind === "host"
      ? presence.host(identity.id) !== undefined
      : catalogue.operators.byId(identity.id) !== undefined;
  }

  #accept(visitor: Visitor, socket: MessageSocket, greeted: () => void): void {
    switch (visitor.kind) {
      case "newcomer":
        return this.#acceptNewcomer(socket);
      case "host":
        return this.#acceptAgent(this.#services.presence.host(visitor.id)!, socket, greeted);
      case "operator":
        return this.#acceptOperator(visitor, socket, greeted);
      default:
        return visitor satisfies never;
    }
  }

  /** It keeps its place until it is gone, which is soon. */
  #acceptNewcomer(socket: MessageSocket): void {
    const { clock, settings } = this.#services;
    const peer = new Peer(socket, {
      local: controllerEnrolmentMethods,
      remote: enrolmentMethods,
      handlers: enrolmentHandlers(this.#services),
      fault: this.#fault,
    });
    this.#connections.add({ close: (reason) => peer.close(reason) }, peer.closed);
    const cancel = clock.after(settings.enrolmentTimeoutMs, () =>
      peer.abort(new OutpostError(ErrorCode.timeout, "enrolling took too long")),
    );
    void peer.closed.then(cancel);
  }

  #acceptAgent(host: Host, socket: MessageSocket, greeted: () => void): void {
    const { presence, log } = this.#services;
    const handlers = new AgentHandlers(this.#services, host, greeted);
    const peer = new Peer(socket, {
      local: controllerAgentMethods,
      remote: agentMethods,
      handlers,
      fault: this.#fault,
    });
    handlers.peer = peer;
    this.#connections.add(peer, peer.closed);
    void peer.closed.then((reason) => {
      presence.disconnected(host.id, peer);
      log.info({ host: host.name, reason: reason.message }, "agent disconnected");
    });
  }

  #acceptOperator(
    identity: Identity & { kind: "operator" },
    socket: MessageSocket,
    greeted: () => void,
  ): void {
    const operator = this.#services.catalogue.operators.byId(identity.id)!;
    const peer: OperatorPeer = new Peer(socket, {
      local: controllerOperatorMethods,
      remote: operatorMethods,
      handlers: operatorHandlers(this.#services, { operator, peer: () => peer }, greeted),
      fault: this.#fault,
    });
    this.#connections.add(peer, peer.closed);
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
