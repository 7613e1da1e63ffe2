import { printable } from '../printable.ts';

/** Output of a command: tests pass their own, `main` the process's. */
export interface Io {
  /** Prints the result. */
  out(text: string): void;
  /** Prints warnings, errors and progress. */
  err(text: string): void;
  /** Whether `err` is a terminal: progress is shown only on one. */
  readonly isTerminal: boolean;
}

export const processIo: Io = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
};

/** One line on the terminal that says what is being done. */
export interface ProgressLine {
  step(step: string, done?: number, total?: number): void;
  clear(): void;
}

/** Shows progress on a terminal; elsewhere the line does nothing. */
export function showProgress(io: Io): ProgressLine {
  let shown = '';
  const show = (line: string) => {
    if (!io.isTerminal || line === shown) return;
    io.err(`\r${line.padEnd(shown.length)}`);
    shown = line;
  };
  return {
    step(step, done, total) {
      const share = done !== undefined && total ? ` ${Math.min(100, Math.floor((100 * done) / total))} %` : '';
      show(`${step}${share}`);
    },
    clear() {
      if (shown === '') return;
      io.err(`\r${' '.repeat(shown.length)}\r`);
      shown = '';
    },
  };
}

/** Prints warnings, one a line. */
export function warn(io: Io, warnings: Iterable<string>): void {
  for (const warning of warnings) io.err(`warning: ${printable(warning)}\n`);
}
