import { ErrorSums } from '../../metrics/error-sums.ts';

/** Share of a channel's power that is taken for rounding: channels that vary less give no noise. */
const VARIES = 1e-12;

/**
 * Measures how far a model's rows of channels are from the reference's, as they are and after the best factor and
 * offset for each channel: streams that were equalized or folded hold the same numbers in other units.
 */
export class ValueErrors {
  readonly #direct = new ErrorSums();
  readonly #channels: number | undefined;
  readonly #sums: readonly Float64Array[];
  #rows = 0;

  /**
   * Takes the number of channels; undefined for values without channels that have units of their own, such as
   * attention.
   */
  constructor(channels: number | undefined) {
    this.#channels = channels;
    this.#sums = channels === undefined ? [] : Array.from({ length: 5 }, () => new Float64Array(channels));
  }

  /** Adds the first `count` values of both. */
  add(reference: Float32Array, actual: Float32Array, count: number): void {
    this.#direct.add(reference, actual, 0, count);
    const channels = this.#channels;
    if (channels === undefined) return;
    const [a, b, aa, bb, ab] = this.#sums as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    for (let i = 0; i < count; i++) {
      const c = i % channels;
      const [x, y] = [reference[i] as number, actual[i] as number];
      a[c] = (a[c] as number) + x;
      b[c] = (b[c] as number) + y;
      aa[c] = (aa[c] as number) + x * x;
      bb[c] = (bb[c] as number) + y * y;
      ab[c] = (ab[c] as number) + x * y;
    }
    this.#rows += count / channels;
  }

  /** SQNR of the values as they are, in dB: 10·log10(Σ reference² / Σ error²). */
  get directDb(): number {
    return this.#direct.sqnrDb;
  }

  /** SQNR after the fit, in dB: 10·log10(Σ (reference - mean)² / Σ error²); undefined without channels. */
  get scaledDb(): number | undefined {
    if (this.#channels === undefined) return undefined;
    const [a, b, aa, bb, ab] = this.#sums as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    let [signal, noise] = [0, 0];
    for (let c = 0; c < this.#channels; c++) {
      const [meanA, meanB] = [(a[c] as number) / this.#rows, (b[c] as number) / this.#rows];
      const varianceA = (aa[c] as number) - meanA * (a[c] as number);
      const varianceB = (bb[c] as number) - meanB * (b[c] as number);
      const together = (ab[c] as number) - meanA * (b[c] as number);
      signal += varianceA;
      const explained = varianceB <= VARIES * (bb[c] as number) ? 0 : (together * together) / varianceB;
      // A NaN must stay one.
      const left = varianceA - explained;
      if (!(left <= VARIES * (aa[c] as number))) noise += left;
    }
    return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
  }
}
