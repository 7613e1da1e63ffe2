import type { Io, showProgress } from './io.ts';

export type Progress = ReturnType<typeof showProgress>;

/** Wraps what a command does; what it returns is the exit code. */
export type Action = <A extends readonly unknown[]>(
  run: (io: Io, progress: Progress, ...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;
