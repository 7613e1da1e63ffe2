import { Stopwatch } from './stopwatch.ts';

/** Hears what is being done: a step's name and, for a step of known size, how much of it is done. */
export type Progress = (step: string, done?: number, total?: number) => void;

/** How a caller follows a long call and ends it. */
export interface RunOptions {
  readonly progress?: Progress | undefined;
  /** Ends the call at the next step: it throws the signal's reason and leaves no file. */
  readonly signal?: AbortSignal | undefined;
}

/** What a call hands down through its steps: where progress goes, whether to go on, and what each part took. */
export interface Run {
  /** Tells a step. Throws the abort signal's reason. */
  readonly progress: Progress;
  readonly stopwatch: Stopwatch;
}

export function startRun({ progress, signal }: RunOptions): Run {
  return {
    progress(step, done, total) {
      signal?.throwIfAborted();
      progress?.(step, done, total);
    },
    stopwatch: new Stopwatch(),
  };
}

/** The same run with times of its own, for one of several files. */
export function timedApart(run: Run): Run {
  return { ...run, stopwatch: new Stopwatch() };
}

/** Progress within one step. */
export function within({ progress }: Run, step: string): (done: number, total: number) => void {
  return (done, total) => progress(step, done, total);
}
