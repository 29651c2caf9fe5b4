/**
 * The controller's own limits and habits: each with unit, default, reason, and what happens at the limit. What holds for the wire
 * is in the protocol's `limits`.
 */
export interface ControllerSettings {
  /** Connections on their way to their upgrade, at once: TLS handshakes and what comes before and behind. Each costs about
   * 1 ms of our CPU, so 512 are half a second of work. A connection beyond that waits (waiting-room.ts). */
  readonly maxHandshakes: number;
  /** How many of them one network may have: an IPv4 address, or a /64 of IPv6. A quarter of all, so that one machine that
   * begins handshakes and does not end them keeps nobody else out; with three more it does, for as long as it goes on. */
  readonly maxHandshakesPerNetwork: number;
  /** Connections that wait for a place among them. Each costs a descriptor; so many hosts may come back at once without
   * being sent away. One more is closed before its handshake, and the dialer's backoff brings it back. */
  readonly maxWaiting: number;
  /** How many of them one network may have: a site of ten thousand hosts may be behind one address. */
  readonly maxWaitingPerNetwork: number;
  /** How long a connection may wait, in milliseconds; then it is closed. Agents give up after a minute, older ones after
   * ten seconds. */
  readonly waitTimeoutMs: number;
  /** How long a connection may take from its place to a complete upgrade request, in milliseconds; then it is cut.
   * On the slowest link that is of use that takes about a second; under a herd the handshake queues for as long again. */
  readonly arrivalTimeoutMs: number;
  /** How long an upgraded connection may take to say hello, in milliseconds; then it is cut. */
  readonly helloTimeoutMs: number;
  /** Connections that are upgraded and have not finished their hello (agents: their inventory). Beyond it an upgrade is
   * answered 503 with a Retry-After. That happens to nobody as long as it is `maxHandshakes` and some more: while there
   * are so many that the handshakes under way could go beyond it, none begins, and a herd of agents comes in at the pace at
   * which it can be reconciled. */
  readonly maxGreetings: number;
  /** How many of them one host may have; beyond it an upgrade is answered 503, too. It needs one, and another when it dials
   * anew: so a host whose key was stolen keeps nobody else out. */
  readonly maxGreetingsPerHost: number;
  /** The same for one operator, who may begin many commands at the same moment. */
  readonly maxGreetingsPerOperator: number;
  /** Hosts that enrol at once. Beyond it an upgrade is answered 503. Each signs one certificate and is gone; few suffice,
   * and who has no certificate yet may take no more from us. */
  readonly maxEnrolments: number;
  /** How many of them one network may have; beyond it an upgrade is answered 503, too. A quarter of all. */
  readonly maxEnrolmentsPerNetwork: number;
  /** How long an enrolling host may stay connected, in milliseconds; then it is cut off. Enrolling takes well under a second. */
  readonly enrolmentTimeoutMs: number;
  /** What Retry-After says at these limits, in milliseconds, drawn evenly from half of it to one and a half of it. */
  readonly retryAfterMs: number;
  /** What goodbye says at shutdown, in milliseconds, drawn evenly up to it. Short: a restart takes about a second. */
  readonly goodbyeRetryMs: number;
  /** How long a host's certificate is valid, in days; its agent renews it at two thirds of that. Short, so that a key that
   * was stolen unnoticed is soon worth nothing; long enough that a host may be off for a holiday. */
  readonly hostCertificateDays: number;
  /** How often the controller looks for certificates that have ended or end soon, its own included, in milliseconds. A
   * connection outlives its certificate by as much. */
  readonly certificateCheckMs: number;
  /** Over how long the hosts are told that the CA changes, in milliseconds. Each costs one signature, about 1 ms: ten
   * thousand at once would be ten seconds without anything else. */
  readonly outdatedSpreadMs: number;
  /** How long after its creation a job may still be started, in milliseconds. A host that comes back later than that
   * answers for nothing any more: what was asked for a minute ago is not what is wanted now. */
  readonly startExpiryMs: number;
  /** The same, when the request does not say, of a roll-out and of what waits for hosts that are offline, in milliseconds: their
   * turn comes late. A day, so that what was confirmed too late is not carried out the week after. */
  readonly rolloutExpiryMs: number;
  /** How long a host that runs its part of a roll-out may have no connection, in milliseconds. Then it counts as failed until it
   * is back, and its place is another's. A reboot takes longer; a connection that was cut is back sooner. */
  readonly rolloutUnreachableMs: number;
  /** How long after its own start the controller takes a host without a connection for one that is on its way back, in
   * milliseconds. Ten thousand need that long. */
  readonly hostsReturnMs: number;
  /** How long an agent may hold a start's answer back so that a short job's output travels with it, in milliseconds.
   * Most short commands end within it; a long one shows its first output that much later at worst. */
  readonly inlineWaitMs: number;
  /** Output that came with starts and waits for its receive, all fan-out jobs together, in bytes. Above it, output is not
   * kept; the receive asks the host for it. 64 MiB are 4,000 full tails. */
  readonly maxHeldTailBytes: number;
  /** How long such output waits for its receive, in milliseconds. The receive comes right behind the start, or never. */
  readonly heldTailMs: number;
  /** Credit that one receive may have outstanding at all hosts together, in bytes. With many hosts each gets its share,
   * at least the protocol's smallest window: what a slow operator can make us hold is bounded by it. */
  readonly relayBudgetBytes: number;
  /** The same for the controller's own collecting, in bytes. */
  readonly collectBudgetBytes: number;
  /** The most credit that collecting gives one stream, in bytes. Enough for a fast link; more only costs memory. */
  readonly collectWindowBytes: number;
  /** Disk space for collected output, in bytes. At the limit collecting pauses: output stays on the hosts until receives
   * have made room. */
  readonly maxCollectedBytes: number;
  /** The longest standard input that is spooled for one fan-out job, in bytes. A longer one is refused (`limit_exceeded`) and its jobs are stopped. */
  readonly maxInputBytes: number;
  /** How long state changes may wait to be written to the catalogue, in milliseconds. A thousand of them then share one
   * transaction; what a crash loses, the hosts' inventories bring back. */
  readonly writeBehindMs: number;
  /** How long `fanout.show`, `fanout.list` and `session.list` wait for hosts to say how their running jobs and live
   * sessions stand, in milliseconds. */
  readonly statusTimeoutMs: number;
  /** How long `fanout.stop` and `fanout.remove` wait for hosts to confirm, in milliseconds. Slower ones are `waiting` in the answer. */
  readonly confirmTimeoutMs: number;
  /** The same for what is known of sessions, in milliseconds. Longer: a session that is typed into says something several
   * times a second, and what counts is how it stands, not how it came there. */
  readonly sessionWriteBehindMs: number;
  /** How long a host may take to open, disconnect or remove a session, in milliseconds; then its part of the answer is
   * `timeout`. An opening session waits for its first prompt, and a slow start-up file is given 5 s. */
  readonly sessionAnswerMs: number;
  /** How long an ended fan-out job stays in the catalogue, in milliseconds. As long as hosts keep output at the most.
   * The same holds for an ended session of a host that does not come back. */
  readonly maxFanOutAgeMs: number;
  /** What ended fan-out jobs ran is kept so that it can be run again: so many bytes of specs, all together, those of the newest.
   * A thousand of the longest that are kept at all; of a plain command a hundred thousand. */
  readonly maxKeptSpecsBytes: number;
}

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const mebibyte = 1024 * 1024;

export const defaultControllerSettings: ControllerSettings = {
  maxHandshakes: 512,
  maxHandshakesPerNetwork: 128,
  maxWaiting: 16_384,
  maxWaitingPerNetwork: 12_288,
  waitTimeoutMs: 55_000,
  arrivalTimeoutMs: 10_000,
  helloTimeoutMs: 10_000,
  maxGreetings: 512 + 128,
  maxGreetingsPerHost: 4,
  maxGreetingsPerOperator: 64,
  maxEnrolments: 64,
  maxEnrolmentsPerNetwork: 16,
  enrolmentTimeoutMs: 30_000,
  retryAfterMs: 4_000,
  goodbyeRetryMs: 2_000,
  hostCertificateDays: 30,
  certificateCheckMs: minuteMs,
  outdatedSpreadMs: minuteMs,
  startExpiryMs: minuteMs,
  rolloutExpiryMs: dayMs,
  rolloutUnreachableMs: 30_000,
  hostsReturnMs: minuteMs,
  inlineWaitMs: 150,
  maxHeldTailBytes: 64 * mebibyte,
  heldTailMs: 30_000,
  relayBudgetBytes: 64 * mebibyte,
  collectBudgetBytes: 64 * mebibyte,
  collectWindowBytes: 4 * mebibyte,
  maxCollectedBytes: 20 * 1024 * mebibyte,
  maxInputBytes: 10 * 1024 * mebibyte,
  writeBehindMs: 50,
  statusTimeoutMs: 1_000,
  confirmTimeoutMs: 2_000,
  sessionWriteBehindMs: 1_000,
  sessionAnswerMs: 15_000,
  maxFanOutAgeMs: 30 * dayMs,
  maxKeptSpecsBytes: 64 * mebibyte,
};
