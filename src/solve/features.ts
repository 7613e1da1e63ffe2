import type { CalibrationRuns, Matrix } from '../calibration-runs.ts';
import { factorCholesky } from './cholesky.ts';
import { centred, meanOf, plus, rowsWhere } from './rows.ts';

/** Rows that are fitted to, or those with the ones held out. */
export type Part = 'train' | 'all';

/** What a linear reads, prepared once for all linears that read it. */
export interface Features {
  /** [rows, size] */
  readonly h: Matrix;
  readonly mean: Float64Array;
  /** Rows that are fitted to and rows that are held out, less the mean of both. */
  readonly train: Matrix;
  readonly held: Matrix;
  /** 1 for rows that are held out. */
  readonly heldOut: Uint8Array;
  /** 10^exponent times the mean of the variances. */
  ridgeOf(part: Part, exponent: number): number;
  /** The Cholesky factor of hᵀh + ridge. */
  factorOf(part: Part, exponent: number): Float64Array;
}

export async function featuresOf(h: Matrix, heldOut: Uint8Array, runs: CalibrationRuns): Promise<Features> {
  const mean = meanOf(h);
  const train = centred(h, mean, rowsWhere(heldOut, 0));
  const held = centred(h, mean, rowsWhere(heldOut, 1));
  const inTrain = await runs.product(train, train);
  const grams = { train: inTrain, all: plus(inTrain, await runs.product(held, held)) };
  const size = h.columns;
  const factors = new Map<string, Float64Array>();
  const ridgeOf = (part: Part, exponent: number) => {
    let trace = 0;
    for (let i = 0; i < size; i++) trace += grams[part][i * size + i] as number;
    return (trace / size) * 10 ** exponent;
  };
  return {
    h,
    mean,
    train,
    held,
    heldOut,
    ridgeOf,
    factorOf(part, exponent) {
      const key = `${part} ${exponent}`;
      const found = factors.get(key);
      if (found !== undefined) return found;
      const factor = grams[part].slice();
      const ridge = ridgeOf(part, exponent);
      for (let i = 0; i < size; i++) factor[i * size + i] = (factor[i * size + i] as number) + ridge;
      factorCholesky(factor, size);
      factors.set(key, factor);
      return factor;
    },
  };
}
