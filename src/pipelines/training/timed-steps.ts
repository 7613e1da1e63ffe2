import { MbertError } from '../../errors.ts';
import { Adam } from '../../solve/adam.ts';
import type { StageRuns } from './stage-runs.ts';
import { type Batch, tokensOf } from './texts.ts';
import type { TrainedArray } from './trained.ts';

/** Most minutes of a training that ends by itself: with a fit before it and a comparison behind, a quarter of an hour. */
export const AUTO_MINUTES = 13;

/** Runs that are not timed: the first ones take memory and read weights. */
const FIRST = 2;

/** Share of the time after which no more runs are timed. */
const TIMING_SHARE = 0.05;

/** Share of the time that is planned with: what else a machine does comes on top. */
const PLANNED_SHARE = 0.97;

/** What steps are timed on. */
interface Timed {
  readonly runs: Pick<StageRuns, 'names' | 'gradients'>;
  /** What is trained, by name; not changed. */
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  /** Batches of all lengths that training has; more than are not timed. */
  readonly batches: readonly Batch[];
  /** Time that training takes besides its steps. */
  readonly otherMs: number;
  readonly nowMs: () => number;
}

/**
 * The number of steps that a time is enough for. Some are taken without moving anything, and their time by token holds for
 * all lengths of texts. Throws USAGE for a time that no step fits into.
 */
export async function timedSteps(limitMs: number, { runs, arrays, batches, otherMs, nowMs }: Timed): Promise<number> {
  const startMs = nowMs();
  const trained = runs.names.map((name) => arrays.get(name) as TrainedArray);
  const adam = new Adam(trained.map(({ values }) => ({ values, rate: 1 })));
  let tokens = 0;
  let timeMs = 0;
  for (const [i, batch] of batches.entries()) {
    const fromMs = nowMs();
    const gradients = await runs.gradients(batch);
    adam.step(
      runs.names.map((name) => gradients.get(name)),
      0,
    );
    if (i < FIRST) continue;
    timeMs += nowMs() - fromMs;
    tokens += tokensOf(batch);
    if (nowMs() - startMs > TIMING_SHARE * limitMs) break;
  }
  const mean = batches.reduce((sum, batch) => sum + tokensOf(batch), 0) / batches.length;
  const leftMs = PLANNED_SHARE * limitMs - (nowMs() - startMs) - otherMs;
  const stepMs = (timeMs / tokens) * mean;
  if (leftMs >= stepMs) return Math.floor(leftMs / stepMs);
  throw new MbertError('USAGE', `${limitMs / 60_000} minutes: is too short for one step of ${Math.ceil(stepMs)} ms`, {
    hint: 'give more time, or a number of steps; some hundred steps are the least that helps',
  });
}
