/** Wall time that each part of the work took, in milliseconds; a part that was done twice counts twice. */
export interface Times {
  /** Reading samples, running passes and calibrating. */
  readonly calibrationMs: number;
  /** Measuring ranges, roundings and linears in higher precision. */
  readonly scanMs: number;
  /** Quantizing and writing. */
  readonly writingMs: number;
  /** Running both files on held-out texts. */
  readonly proofMs: number;
}

/** Sums up the time of each part of the work. Parts do not nest: what runs inside another part counts for both. */
export class Stopwatch {
  readonly #times = { calibrationMs: 0, scanMs: 0, writingMs: 0, proofMs: 0 };

  async time<T>(part: keyof Times, work: () => T | Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.#times[part] += performance.now() - start;
    }
  }

  /** The times so far, rounded to whole milliseconds. */
  times(): Times {
    const { calibrationMs, scanMs, writingMs, proofMs } = this.#times;
    return {
      calibrationMs: Math.round(calibrationMs),
      scanMs: Math.round(scanMs),
      writingMs: Math.round(writingMs),
      proofMs: Math.round(proofMs),
    };
  }
}
