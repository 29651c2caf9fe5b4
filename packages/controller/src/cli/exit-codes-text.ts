/** The exit codes, as the help shows them. */
export const exitCodesText =
  "Exit codes: 0 all succeeded; else the highest of the hosts' exit codes (128+n for signal n), " +
  "124 timed out, 249 a roll-out was stopped before a host had its turn or a check failed, 250 lost or unknown, 251 wrong usage, 252 another error (e.g. the controller cannot be reached), " +
  "253 denied, 254 a host was unreachable, 130 interrupted by Ctrl-C.";
