/** Outpost's protocol: what agent, controller and clients share. Imported on their own: `./targets`, `./rollout`, and the sockets, `./websocket`, `./unix-socket`, `./memory`. */
export { chainHeader, chainHeaderOf, chainOfHeader, splitPem } from "./certificate-chain.ts";
export { dialError } from "./dial-error.ts";
export { systemClock, type Clock } from "./clock.ts";
export { decode, decodeValue, encode, encodeCanonical } from "./codec.ts";
export { commandText } from "./command-text.ts";
export { ErrorCode, OutpostError, WireError, type OutpostErrorOptions } from "./errors.ts";
export { FrameType, type Frame } from "./frame.ts";
export { answerHello } from "./greeting.ts";
export * from "./ids.ts";
export * as limits from "./limits.ts";
export * from "./messages/agent.ts";
export * from "./messages/authorization.ts";
export * from "./messages/certificate.ts";
export * from "./messages/enrolment.ts";
export * from "./messages/hello.ts";
export * from "./messages/host.ts";
export * from "./messages/job.ts";
export * from "./messages/operator.ts";
export * from "./messages/rollout.ts";
export * from "./messages/session.ts";
export * from "./messages/stream.ts";
export * from "./methods.ts";
export {
  packRequest,
  Peer,
  type Call,
  type Handlers,
  type PackedRequest,
  type PeerOptions,
  type RequestOptions,
} from "./peer.ts";
export { Packer, unpack } from "./packing.ts";
export { relayGap, relayStream } from "./relay.ts";
export type { MessageSocket, SocketEvents } from "./socket.ts";
export { type IncomingStart, IncomingStream, OutgoingStream, type StreamReceiver } from "./stream.ts";
export { decodeTimeline, encodeTimeline, timelineRecordBytes, type TimelineRecord } from "./timeline.ts";
export { type StreamWindow, WindowBudget, type WindowBudgetOptions } from "./window-budget.ts";
export { commonVersion, supportedVersions, type VersionRange } from "./version.ts";
