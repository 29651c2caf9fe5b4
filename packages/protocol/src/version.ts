/** Protocol versions. A version is added here together with the change that needs it. */

/**
 * The versions that this software speaks; `hello` names them, and both sides use the highest they share.
 *
 * 1  jobs and sessions
 * 2  requests are signed by operators and verified by hosts; certificates are renewed; configurations, secrets
 * 3  roll-outs, starts that wait for their hosts, retries; files are copied; facts change and are extended; long answers in pages
 */
export const supportedVersions = { min: 1, max: 3 } as const;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** The highest version that both ranges hold, or `undefined` when they do not meet. */
export function commonVersion(ours: VersionRange, theirs: VersionRange): number | undefined {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : undefined;
}
