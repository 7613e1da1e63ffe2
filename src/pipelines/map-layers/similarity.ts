import type { Matrix, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { solveCholesky } from '../../solve/cholesky.ts';
import { type Features, featuresOf } from '../../solve/features.ts';
import { rowsBetween } from '../../solve/rows.ts';

/** The exponent of 10 of the ridge, as the fits of linears mostly choose it. */
const RIDGE = -3;

type Products = Pick<TextRuns, 'product' | 'rowsTimes'>;

/** A layer's values, prepared once for all layers of the other model. */
export interface LayerValues {
  readonly features: Features;
  /** ‖XᵀX‖ of the centred values. */
  readonly norm: number;
}

export async function layerValues(matrix: TextMatrix, runs: Products): Promise<LayerValues> {
  const features = await featuresOf(matrix, runs);
  return { features, norm: Math.sqrt(sumOfSquares(await runs.product(features.h, features.h))) };
}

/**
 * Linear centred kernel alignment ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) (Kornblith et al. 2019, arXiv 1905.00414): 1 where one value is a
 * rotation of the other, 0 where they have nothing in common.
 */
export async function alignment(a: LayerValues, b: LayerValues, runs: Products): Promise<number> {
  const cross = sumOfSquares(await runs.product(a.features.h, b.features.h));
  return a.norm > 0 && b.norm > 0 ? cross / (a.norm * b.norm) : 0;
}

/** A linear y = W (x - from) + to. */
export interface LinearMap {
  /** W [channels of y, channels of x]. */
  readonly weights: Matrix;
  readonly from: Float32Array;
  readonly to: Float32Array;
}

/** Fits a value as a linear function of another one by ridge least squares, to the tokens that are fitted to. */
export async function linearMap(from: LayerValues, to: LayerValues, runs: Products): Promise<LinearMap> {
  const { h: x } = from.features;
  const { h: y } = to.features;
  const weights = await runs.product(rowsBetween(y, 0, y.fitted), rowsBetween(x, 0, x.fitted));
  solveCholesky(from.features.factorOf('train', RIDGE), x.columns, weights);
  const w = { values: Float32Array.from(weights), rows: y.columns, columns: x.columns };
  return { weights: w, from: x.mean, to: y.mean };
}

/**
 * Error of a teacher's layer as a linear function of a student's, Σ (y - W x)² / Σ y² over tokens that W, by ridge least
 * squares, was not fitted to.
 */
export async function reconstructionError(student: LayerValues, teacher: LayerValues, runs: Products): Promise<number> {
  const { h: x } = student.features;
  const { h: y } = teacher.features;
  const [xHeld, yHeld] = [rowsBetween(x, x.fitted, x.rows), rowsBetween(y, y.fitted, y.rows)];
  const { weights, to: mean } = await linearMap(student, teacher, runs);
  const predicted = await runs.rowsTimes(xHeld, weights);
  let [error, power] = [0, 0];
  for (let row = 0, at = 0; row < yHeld.rows; row++) {
    for (let c = 0; c < y.columns; c++, at++) {
      const value = (yHeld.values[at] as number) - (mean[c] as number);
      error += (value - (predicted[at] as number)) ** 2;
      power += value ** 2;
    }
  }
  return power > 0 ? error / power : 0;
}

function sumOfSquares(values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return sum;
}
