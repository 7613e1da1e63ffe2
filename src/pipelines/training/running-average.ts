import type { TrainedArray } from './trained.ts';

/** The share of the average that a step leaves as it is: about the last fifty steps count. */
const KEPT = 0.98;

/**
 * The running average of arrays in training. Steps of a rate that does not fall throw weights to and fro; their average
 * is nearer to where they tend than any of them (Polyak and Juditsky 1992).
 */
export class RunningAverage {
  readonly #arrays: readonly TrainedArray[];
  readonly #averages: readonly Float32Array[];
  #isShown = false;

  /** Starts at the arrays' present values, or goes on from an average, whose arrays it takes over. */
  constructor(arrays: readonly TrainedArray[], from?: readonly TrainedArray[]) {
    this.#arrays = arrays;
    this.#averages = from?.map(({ values }) => values) ?? arrays.map(({ values }) => values.slice());
  }

  /** The average, not copied. */
  get state(): readonly TrainedArray[] {
    return this.#arrays.map((array, i) => ({ ...array, values: this.#averages[i] as Float32Array }));
  }

  /** Takes the values after a step in. */
  add(): void {
    for (const [i, { values }] of this.#arrays.entries()) {
      const average = this.#averages[i] as Float32Array;
      for (let at = 0; at < values.length; at++) {
        const mean = average[at] as number;
        average[at] = mean + (1 - KEPT) * ((values[at] as number) - mean);
      }
    }
  }

  /** Puts the average in place of the arrays' values, to be measured; `hide` puts these back. */
  show(): void {
    if (!this.#isShown) this.#swap();
  }

  hide(): void {
    if (this.#isShown) this.#swap();
  }

  #swap(): void {
    this.#isShown = !this.#isShown;
    for (const [i, { values }] of this.#arrays.entries()) {
      const average = this.#averages[i] as Float32Array;
      for (let at = 0; at < values.length; at++) {
        const value = values[at] as number;
        values[at] = average[at] as number;
        average[at] = value;
      }
    }
  }
}
