import type { Histogram } from '../ir/statistics.ts';

/** Number of bins: one is 1/16 of an 8-bit step or less, so a threshold between bins is as good as any. */
const BINS = 8192;

/** Least range; below it all values are as good as zero. */
const MIN_LIMIT = 2 ** -100;

/** Histogram of values that are not kept; its range doubles as larger ones come, which merges neighbouring bins. */
export class StreamingHistogram {
  #limit = 0;
  #counts = new Float64Array(BINS);

  add(values: Float32Array): void {
    let largest = 0;
    for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i] as number));
    this.#reach(largest);
    const counts = this.#counts;
    // A power of two, so that the product is exact and bins nest whatever the range was when a value came.
    const binsPerUnit = BINS / 2 / this.#limit;
    for (let i = 0; i < values.length; i++) {
      const bin = Math.floor((values[i] as number) * binsPerUnit) + BINS / 2;
      counts[bin] = (counts[bin] as number) + 1;
    }
  }

  result(): Histogram {
    return { limit: this.#limit, counts: this.#counts };
  }

  #reach(largest: number): void {
    if (this.#limit === 0) {
      this.#limit = MIN_LIMIT;
      while (this.#limit <= largest) this.#limit *= 2;
    }
    for (; this.#limit <= largest; this.#limit *= 2) {
      const merged = new Float64Array(BINS);
      for (let i = 0; i < BINS; i++) {
        const bin = BINS / 4 + (i >> 1);
        merged[bin] = (merged[bin] as number) + (this.#counts[i] as number);
      }
      this.#counts = merged;
    }
  }
}
