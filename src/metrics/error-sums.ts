/** Sums up the error of actual values against a reference as they arrive. */
export class ErrorSums {
  #signal = 0;
  #noise = 0;
  #largest = 0;

  add(reference: ArrayLike<number>, actual: ArrayLike<number>, from = 0, to = reference.length): void {
    for (let i = from; i < to; i++) {
      const value = reference[i] as number;
      const error = value - (actual[i] as number);
      this.#signal += value * value;
      this.#noise += error * error;
      // Not Math.max alone: a NaN must stay.
      this.#largest = Number.isNaN(error) ? Number.NaN : Math.max(this.#largest, Math.abs(error));
    }
  }

  get maxAbsError(): number {
    return this.#largest;
  }

  /**
   * Signal to quantization noise in dB, 10·log10(Σ reference² / Σ error²): Infinity where both are equal, NaN where one
   * has a NaN or infinity.
   */
  get sqnrDb(): number {
    return this.#noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#signal / this.#noise);
  }
}
