import { printable } from '../printable.ts';

/** Output of a command: tests pass their own, `main` the process's. */
export interface Io {
  /** Prints the result. */
  out(text: string): void;
  /** Prints warnings, errors and progress. */
  err(text: string): void;
  /** Whether `err` understands colours. */
  readonly colours?: boolean;
  /** Stream that progress may go to between two writes of the command; without it progress is not shown. */
  readonly live?: LiveStream;
}

/** Stderr of the process, as progress needs to know it. */
export interface LiveStream {
  /** Whether lines can be written over. */
  readonly isTerminal: boolean;
  readonly columns: number;
}

const { stderr, stdout, env } = process;

export const processIo: Io = {
  out: (text) => stdout.write(text),
  err: (text) => stderr.write(text),
  colours: hasColours(env, stderr.isTTY === true),
  live: { isTerminal: stderr.isTTY === true && env['TERM'] !== 'dumb', columns: stderr.columns ?? 80 },
};

/** Whether to print in colours: NO_COLOR and FORCE_COLOR decide (no-color.org, force-color.org), else the terminal. */
export function hasColours(variables: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: kind } = variables;
  if (no !== undefined && no !== '') return false;
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return isTerminal && kind !== 'dumb';
}

/** Escape codes of ECMA-48 that every terminal with colours has. */
const COLOURS = { red: 31, yellow: 33, cyan: 36 } as const;

/** A text in a colour, where the output has colours. */
export function painted({ colours }: Io, colour: keyof typeof COLOURS, text: string): string {
  return colours ? `\u001b[${COLOURS[colour]}m${text}\u001b[39m` : text;
}

/** Prints warnings, one a line, each once: the parts of a call may give the same. */
export function warn(io: Io, warnings: Iterable<string>): void {
  for (const warning of new Set(warnings)) io.err(`${painted(io, 'yellow', 'warning:')} ${printable(warning)}\n`);
}
