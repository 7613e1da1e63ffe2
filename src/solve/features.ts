import type { TextMatrix, TextRuns } from '../ir/text-runs.ts';
import { factorCholesky } from './cholesky.ts';
import { meanOf, plus, rowsBetween } from './rows.ts';

/** Rows that are fitted to, or those with the ones held out. */
export type Part = 'train' | 'all';

/** What a linear reads, prepared once for all linears that read it. */
export interface Features {
  /** [rows, size] less its mean. */
  readonly h: TextMatrix & { readonly mean: Float32Array };
  /** 10^exponent times the mean of the variances. */
  ridgeOf(part: Part, exponent: number): number;
  /** The Cholesky factor of hᵀh + ridge. */
  factorOf(part: Part, exponent: number): Float64Array;
}

export async function featuresOf(matrix: TextMatrix, runs: Pick<TextRuns, 'product'>): Promise<Features> {
  const h = { ...matrix, mean: meanOf(matrix) };
  const train = rowsBetween(h, 0, h.fitted);
  const held = rowsBetween(h, h.fitted, h.rows);
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
