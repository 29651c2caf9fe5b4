/** Control sequences for the terminal that we borrow (ECMA-48, and xterm's private modes: https://invisible-island.net/xterm/ctlseqs/). */

/**
 * Puts back what a program on the host may have set and cannot any more. In the order that keeps the cursor's place: it is
 * saved before what moves it, each screen has a saved place of its own, and the alternate screen is left either way.
 */
export const restoreModes = [
  "\u001b[?2026l", // synchronised output
  "\u001b7\u001b[?1049l", // alternate screen
  "\u001b7\u001b[r\u001b8", // scroll region
  "\u001b[?9l\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1005l\u001b[?1006l\u001b[?1015l", // mouse
  "\u001b[?1004l", // focus reports
  "\u001b[?2004l", // bracketed paste
  "\u001b[>4m", // keys as sequences (modifyOtherKeys)
  "\u001b[?1l\u001b>", // cursor keys, keypad
  "\u001b[4l\u001b[?7h", // insert mode, wrapping
  "\u001b(B\u000f", // character set
  "\u001b[0m", // colours
  "\u001b[0 q\u001b[?25h", // cursor
].join("");

/** Clears the screen and leaves the scrollback as it is. */
export const clearScreen = "\u001b[H\u001b[J";

/** Moves what is on a screen of so many rows into the scrollback. */
export function scrollAway(rows: number): string {
  return `\u001b[${String(rows)};1H${"\n".repeat(rows)}`;
}

export const bell = "\u0007";
