import type { TextMatrix, TextRuns } from '../ir/text-runs.ts';
import { diagonalSum, factorWithRidge } from './ridge.ts';
import { meanOf, plus, rowsBetween } from './rows.ts';

/** A choice of rows: `train` are those that are fitted to, `all` are these and the held-out ones. */
export type Part = 'train' | 'all';

/** A value that linears read, prepared once for all of them. */
export interface Features {
  /** The value h [rows, size], from which products subtract the mean. */
  readonly h: TextMatrix & { readonly mean: Float32Array };
  /** The ridge: 10^exponent times the mean of the variances, each as a sum over the rows. */
  ridgeOf(part: Part, exponent: number): number;
  /** The Cholesky factor of hᵀh + ridge. */
  factorOf(part: Part, exponent: number): Float64Array;
}

/** Prepares a value [rows, size]: computes its Gram matrices, and factors them when asked. */
export async function featuresOf(matrix: TextMatrix, runs: Pick<TextRuns, 'product'>): Promise<Features> {
  const h = { ...matrix, mean: meanOf(matrix) };
  const train = rowsBetween(h, 0, h.fitted);
  const held = rowsBetween(h, h.fitted, h.rows);
  const inTrain = await runs.product(train, train);
  const grams = { train: inTrain, all: plus(inTrain, await runs.product(held, held)) };
  const size = h.columns;
  const factors = new Map<string, Float64Array>();
  const ridgeOf = (part: Part, exponent: number) => (diagonalSum(grams[part], size) / size) * 10 ** exponent;
  return {
    h,
    ridgeOf,
    factorOf(part, exponent) {
      const key = `${part} ${exponent}`;
      const earlier = factors.get(key);
      if (earlier !== undefined) return earlier;
      const factor = factorWithRidge(grams[part].slice(), size, ridgeOf(part, exponent));
      factors.set(key, factor);
      return factor;
    },
  };
}
