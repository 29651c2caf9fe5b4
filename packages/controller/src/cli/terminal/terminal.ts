/** The terminal in front of the one who types, as far as showing a session needs it. `LocalTerminal` is the real one. */

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface TerminalListener {
  /** Bytes were typed. Nothing more comes until it has resolved. */
  readonly typed: (bytes: Uint8Array) => Promise<void>;
  readonly resized: (size: TerminalSize) => void;
  /** The process was stopped, and goes on; whatever was on the screen may be gone. */
  readonly resumed: () => void;
  /** The terminal has gone, or somebody wants us to end. */
  readonly hungUp: (signal: NodeJS.Signals) => void;
}

export interface Terminal {
  readonly size: TerminalSize;
  /** Takes the terminal over: keystrokes come as they are, and Ctrl-C is one of them. Disposing gives it back, restored. */
  takeOver(listener: TerminalListener): Disposable;
  /** Resolves when the terminal has taken it. */
  write(data: Uint8Array | string): Promise<void>;
  /** Gives the terminal back and stops the process, until the shell lets it go on. */
  suspend(): void;
}
