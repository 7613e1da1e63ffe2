import { Worker } from 'node:worker_threads';
import type { Progress } from '../options/run.ts';
import { printable } from '../printable.ts';
import { type Io, painted } from './io.ts';
import { type DisplayOptions, ProgressDisplay, type ProgressState } from './progress-display.ts';
import type { ProgressWorkerData } from './progress-worker.ts';

/** How much a command tells besides its result. */
export type Loudness = 'quiet' | 'normal' | 'verbose';

/** Progress of a command on stderr. */
export interface ProgressLine {
  readonly step: Progress;
  /** Prints a line on what was found out. */
  note(text: string): void;
  /** Takes the line off the terminal until the next step, so that other output has its place. */
  clear(): void;
}

/** Time before progress is logged where there is no terminal. */
const QUIET_MS = 2000;

/** Least time between reports of one step to the thread that shows them. */
const REPORT_MS = 50;

/**
 * Shows progress on a terminal as one line, elsewhere as lines of a log. A thread of its own writes it, as a pass over a
 * large graph keeps this one busy for seconds in which no timer fires.
 */
export function showProgress(io: Io, loudness: Loudness): ProgressLine {
  const shown = shownBy(io, loudness);
  return {
    step: (step, done, total, stage) => shown?.show({ step, done, total, stage }),
    note(text) {
      if (loudness === 'quiet') return;
      shown?.hold();
      io.err(`${painted(io, 'cyan', 'note:')} ${printable(text)}\n`);
      shown?.release();
    },
    clear: () => shown?.hold(),
  };
}

interface Shown {
  show(state: ProgressState): void;
  /** Takes the line off the terminal and writes no other one until `release` or the next state. */
  hold(): void;
  release(): void;
}

function shownBy(io: Io, loudness: Loudness): Shown | undefined {
  if (loudness === 'verbose') return loggedBy(io);
  if (loudness === 'quiet' || io.live === undefined) return undefined;
  const { isTerminal, columns } = io.live;
  return new ProgressThread(io, { form: isTerminal ? 'line' : 'log', columns, quietMs: QUIET_MS, isVerbose: false });
}

/** A log of every step, written by this thread: what is asked for is to be complete. */
function loggedBy(io: Io): Shown {
  const options: DisplayOptions = { form: 'log', columns: 0, quietMs: 0, isVerbose: true, write: io.err };
  const display = new ProgressDisplay(performance.now(), options);
  return {
    show: (state) => display.set(state, performance.now()),
    hold: () => undefined,
    release: () => undefined,
  };
}

/**
 * Thread that shows progress. A lock in shared memory tells it to keep silent while the command prints: whoever holds
 * it may write.
 */
class ProgressThread implements Shown {
  readonly #io: Io;
  readonly #options: Omit<DisplayOptions, 'write'>;
  readonly #lock = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #cells = new Int32Array(this.#lock);
  readonly #startMs = performance.now();
  #worker: Worker | undefined;
  #isHeld = false;
  #lastStep = '';
  #lastMs = 0;

  constructor(io: Io, options: Omit<DisplayOptions, 'write'>) {
    this.#io = io;
    this.#options = options;
  }

  show(state: ProgressState): void {
    const now = performance.now();
    if (state.step === this.#lastStep && state.done !== state.total && now - this.#lastMs < REPORT_MS) return;
    this.#lastStep = state.step;
    this.#lastMs = now;
    this.#worker ??= this.#start();
    this.release();
    this.#worker.postMessage(state);
  }

  hold(): void {
    if (this.#isHeld || this.#worker === undefined) return;
    while (Atomics.compareExchange(this.#cells, 0, 0, 1) !== 0) Atomics.wait(this.#cells, 0, 1, REPORT_MS);
    this.#isHeld = true;
    if (this.#options.form === 'line') this.#io.err('\r\u001b[K');
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    Atomics.store(this.#cells, 0, 0);
  }

  #start(): Worker {
    const data: ProgressWorkerData = {
      options: this.#options,
      lock: this.#lock,
      elapsedMs: performance.now() - this.#startMs,
    };
    const worker = new Worker(new URL('./progress-worker.js', import.meta.url), { workerData: data });
    worker.unref();
    // Progress is no reason to fail: without the thread there is none.
    worker.on('error', () => undefined);
    return worker;
  }
}
