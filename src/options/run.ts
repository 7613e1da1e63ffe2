import type { PassObserver } from '../ir/pass.ts';
import { clearDumps, PassDump } from '../observers/pass-dump.ts';
import { type PassTime, PassTimes } from '../observers/pass-times.ts';
import { Stopwatch } from './stopwatch.ts';

/** Place of a step among the stages of a call, counted from 1. Gates may lead back to an earlier one. */
export interface Stage {
  readonly number: number;
  readonly of: number;
}

/**
 * Hears what is being done: a step's name, for a step of known size how much of it is done, and for a call of known
 * stages in which one it is.
 */
export type Progress = (step: string, done?: number, total?: number, stage?: Stage) => void;

/** How a caller follows a long call and ends it. */
export interface RunOptions {
  readonly progress?: Progress | undefined;
  /** Hears what was found out on the way, once each: which columns samples are read from. */
  readonly note?: ((text: string) => void) | undefined;
  /** Ends the call at the next step: it throws the signal's reason and leaves no file. */
  readonly signal?: AbortSignal | undefined;
}

/** Flags that show passes while they run. */
export interface ObserveOptions {
  /** A folder that gets the graph's text before the passes and behind each that changed something, with diffs. */
  readonly dumpPasses?: string | undefined;
  /** Adds to the result what each pass took. */
  readonly timePasses?: boolean | undefined;
}

/** What a call hands down through its steps: where progress goes, whether to go on, who watches passes, and what each part took. */
export interface Run {
  /** Tells a step of the present stage. Throws the abort signal's reason. */
  readonly progress: (step: string, done?: number, total?: number) => void;
  /** Names all stages of the call, in order. */
  readonly plan: (stages: readonly string[]) => void;
  /** Enters a stage of the plan; one that is not in it changes nothing. */
  readonly enter: (stage: string) => void;
  /** Tells what was found out; the same twice is told once. */
  readonly note: (text: string) => void;
  readonly stopwatch: Stopwatch;
  /** For the passes that make what is written; trials go without. */
  readonly observers: readonly RunObserver[];
  /** Grows as passes run; undefined where nobody asked for it. */
  readonly passTimes: readonly PassTime[] | undefined;
}

interface RunObserver extends PassObserver {
  forFormat(format: string): RunObserver;
}

/** Throws USAGE where the dumps would come among other files. */
export function startRun({ progress, note, signal, dumpPasses, timePasses }: RunOptions & ObserveOptions): Run {
  if (dumpPasses !== undefined) clearDumps(dumpPasses);
  const dump = dumpPasses === undefined ? undefined : new PassDump(dumpPasses);
  const times = timePasses ? new PassTimes() : undefined;
  const told = new Set<string>();
  let stages: readonly string[] = [];
  let number = 0;
  return {
    note(text) {
      if (!told.has(text)) note?.(text);
      told.add(text);
    },
    observers: [dump, times].filter((each) => each !== undefined),
    passTimes: times?.rows,
    progress(step, done, total) {
      signal?.throwIfAborted();
      progress?.(step, done, total, number > 0 ? { number, of: stages.length } : undefined);
    },
    plan(names) {
      stages = names;
      number = Math.min(1, names.length);
    },
    enter(name) {
      const at = stages.indexOf(name);
      if (at >= 0) number = at + 1;
    },
    stopwatch: new Stopwatch(),
  };
}

/** The same run with times of its own, for one of several files. */
export function timedApart(run: Run): Run {
  return { ...run, stopwatch: new Stopwatch() };
}

/** Name of a stage that each file goes through. */
export function stageOf(format: string, stage: string): string {
  return `${format} ${stage}`;
}

/** The same run for one of the formats that are written: its stages and, where there are two, its passes are told apart. */
export function runFor(format: string, formats: readonly string[], run: Run): Run {
  const own: Run = { ...run, enter: (stage) => run.enter(stageOf(format, stage)) };
  if (formats.length < 2) return own;
  return { ...own, observers: run.observers.map((each) => each.forFormat(format)) };
}

/** The same run for a graph that is not written. */
export function unobserved(run: Run): Run {
  return { ...run, observers: [] };
}

/** Progress within one step. */
export function within({ progress }: Run, step: string): (done: number, total: number) => void {
  return (done, total) => progress(step, done, total);
}
