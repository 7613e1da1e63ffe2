import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { type DisplayOptions, ProgressDisplay, type ProgressState } from './progress-display.ts';

/** Data that the thread is started with. */
export interface ProgressWorkerData {
  readonly options: Omit<DisplayOptions, 'write'>;
  /** The lock that whoever writes holds, see `WriteLock`. */
  readonly lock: SharedArrayBuffer;
  /** Time since the call began, in ms. */
  readonly elapsedMs: number;
}

/** Time between two looks at the clock. */
const TICK_MS = 500;
const STDERR = 2;

const { options, lock, elapsedMs } = workerData as ProgressWorkerData;
const cells = new Int32Array(lock);
const display = new ProgressDisplay(performance.now() - elapsedMs, { ...options, write: writeLocked });

/** Writes where the command does not print and has not ended; the next tick says it otherwise. */
function writeLocked(text: string): void {
  if (Atomics.compareExchange(cells, 0, 0, 1) !== 0) return;
  try {
    writeSync(STDERR, text);
  } catch {
    // A reader that has gone, or is slow: progress is no reason to fail.
  } finally {
    Atomics.store(cells, 0, 0);
    Atomics.notify(cells, 0);
  }
}

parentPort?.on('message', (state: ProgressState) => display.set(state, performance.now()));
setInterval(() => display.tick(performance.now()), TICK_MS);
