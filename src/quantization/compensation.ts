import { type Quant, readF32, type Tensor } from '../ir/tensor.ts';
import { factorCholesky } from '../solve/cholesky.ts';
import {
  packIntegers,
  type QuantizedWeight,
  quantizeWeight,
  type Steps,
  WEIGHT_RANGES,
  type WeightDType,
  type WeightOptions,
} from './weights.ts';

/** The share of its mean that is added to the diagonal of a Gram matrix: directions that no sample took stay stable. */
const DAMPING = 0.01;

/**
 * A Gram matrix G = Σ x xᵀ of the values that the rows of a weight are multiplied with, ready to round any number of
 * rows: G + damping·I = U D Uᵀ with U unit upper triangular and D diagonal, rows and columns in the order in which
 * elements are rounded.
 */
export interface Compensation {
  readonly width: number;
  readonly damping: number;
  /** The columns of a weight in the order in which they are rounded. */
  readonly order: Int32Array;
  /**
   * The factor U: row k holds column k of U above its diagonal, [width, width], of which only the lower triangle is
   * used.
   */
  readonly shares: Float64Array;
  /** The diagonal of D. */
  readonly pivots: Float64Array;
}

/**
 * Orders columns by energy, largest first. Rounded last, the columns that matter least make up for all others: 1 to 3
 * dB of the answers at 4 bits, measured.
 */
export function largestFirst(gram: Float64Array): Int32Array {
  const width = Math.sqrt(gram.length);
  const energy = (i: number) => gram[i * width + i] as number;
  return columns(width).sort((a, b) => energy(b) - energy(a) || a - b);
}

function columns(width: number): Int32Array {
  return Int32Array.from({ length: width }, (_, i) => i);
}

/**
 * Prepares a Gram matrix. A Cholesky factor runs from the first column to the last, U from the last to the first: so G
 * is reversed before it is factored, and the factor is reversed back.
 */
export function compensationOf(gram: Float64Array, order = columns(Math.sqrt(gram.length))): Compensation {
  const width = order.length;
  let trace = 0;
  for (let i = 0; i < width; i++) trace += gram[i * width + i] as number;
  const damping = (DAMPING * trace) / width || 1;
  const factor = new Float64Array(width * width);
  for (let i = 0; i < width; i++) {
    const from = (order[width - 1 - i] as number) * width;
    for (let j = 0; j < width; j++) factor[i * width + j] = gram[from + (order[width - 1 - j] as number)] as number;
  }
  for (let i = 0; i < width; i++) factor[i * width + i] = (factor[i * width + i] as number) + damping;
  factorCholesky(factor, width);
  const pivots = new Float64Array(width);
  for (let k = 0; k < width; k++) {
    const column = width - 1 - k;
    const pivot = factor[column * width + column] as number;
    pivots[k] = pivot * pivot;
    for (let row = column + 1; row < width; row++) {
      factor[row * width + column] = (factor[row * width + column] as number) / pivot;
    }
  }
  mirror(factor, width);
  return { width, order, damping, shares: factor, pivots };
}

/**
 * Mirrors a matrix at its antidiagonal, in place: element [row, column] goes to [width - 1 - column, width - 1 - row],
 * so that column k from the right becomes row k.
 */
function mirror(matrix: Float64Array, width: number): void {
  const last = width - 1;
  for (let row = 0; row < width; row++) {
    for (let column = 0; column < last - row; column++) {
      const from = row * width + column;
      const to = (last - column) * width + last - row;
      const value = matrix[from] as number;
      matrix[from] = matrix[to] as number;
      matrix[to] = value;
    }
  }
}

/** The number of rows that are rounded side by side, so that they share what they read of the factor. */
const SIDE_BY_SIDE = 8;

/**
 * The number of rows of the factor that all weights are taken through before the next ones, so that they stay in the
 * cache.
 */
const BLOCK = 32;

/**
 * Rounds rows of weights one element after the other, each time so that it makes up for the errors before it. The loss
 * of a row is eᵀ G e for its error e = w - ŵ, which is Σ_k D_k (e_k + Σ_{i<k} U_ik e_i)² less the damping's part:
 * element k is rounded from w_k + Σ_{i<k} U_ik e_i. These are the integers of GPTQ (Frantar et al., arXiv 2210.17323)
 * in the form of Chee et al., arXiv 2307.13304, which needs no inverse.
 */
function roundCompensated(
  values: Float32Array,
  { scales, zeroPoints }: Steps,
  compensation: Compensation,
  dtype: WeightDType,
): RoundedRows {
  const [least, largest] = WEIGHT_RANGES[dtype];
  const groupSize = values.length / scales.length;
  const stored = new Int8Array(values.length);
  const losses = sweep(compensation, values.length, (at, share) => {
    const group = Math.floor(at / groupSize);
    const scale = scales[group] as number;
    const zeroPoint = zeroPoints?.[group] ?? 0;
    const real = values[at] as number;
    const rounded = Math.min(largest, Math.max(least, Math.round((real + share) / scale) + zeroPoint));
    stored[at] = rounded;
    return real - (rounded - zeroPoint) * scale;
  });
  return { stored, losses };
}

/** Rounded rows, with the loss eᵀ G e of each. */
interface RoundedRows {
  readonly stored: Int8Array;
  readonly losses: Float64Array;
}

/** Computes the loss of each row for integers that were rounded in another way. */
function lossesOf(
  values: Float32Array,
  stored: Int8Array,
  { scales, zeroPoints }: Steps,
  compensation: Compensation,
): Float64Array {
  const groupSize = values.length / scales.length;
  return sweep(compensation, values.length, (at) => {
    const group = Math.floor(at / groupSize);
    return (values[at] as number) - ((stored[at] as number) - (zeroPoints?.[group] ?? 0)) * (scales[group] as number);
  });
}

/**
 * Asks `errorOf` for the error of every element, those of a row in order, giving it the errors that the element is to
 * make up for (`share`); adds up eᵀ G e of each row.
 */
function sweep(
  { width, order, damping, shares, pivots }: Compensation,
  size: number,
  errorOf: (at: number, share: number) => number,
): Float64Array {
  const rows = size / width;
  const losses = new Float64Array(rows);
  // [strips, width, SIDE_BY_SIDE]
  const errors = new Float64Array(Math.ceil(rows / SIDE_BY_SIDE) * width * SIDE_BY_SIDE);
  const sums = new Float64Array(SIDE_BY_SIDE);
  for (let start = 0; start < width; start += BLOCK) {
    const end = Math.min(width, start + BLOCK);
    for (let first = 0; first < rows; first += SIDE_BY_SIDE) {
      const count = Math.min(SIDE_BY_SIDE, rows - first);
      const strip = first * width;
      const column = errors.subarray(strip);
      for (let k = start; k < end; k++) {
        addShares(shares.subarray(k * width, k * width + k), column, sums);
        for (let row = 0; row < count; row++) {
          const share = sums[row] as number;
          const error = errorOf((first + row) * width + (order[k] as number), share);
          const left = error + share;
          errors[strip + k * SIDE_BY_SIDE + row] = error;
          losses[first + row] =
            (losses[first + row] as number) + (pivots[k] as number) * left * left - damping * error * error;
        }
      }
    }
  }
  return losses;
}

/** Computes Σ_{i<k} U_ik e_i for the rows of a strip; `shares` are the U_ik, `errors` [i, row] begin with the strip. */
function addShares(shares: Float64Array, errors: Float64Array, sums: Float64Array): void {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let s5 = 0;
  let s6 = 0;
  let s7 = 0;
  for (let i = 0, e = 0; i < shares.length; i++, e += SIDE_BY_SIDE) {
    const share = shares[i] as number;
    s0 += share * (errors[e] as number);
    s1 += share * (errors[e + 1] as number);
    s2 += share * (errors[e + 2] as number);
    s3 += share * (errors[e + 3] as number);
    s4 += share * (errors[e + 4] as number);
    s5 += share * (errors[e + 5] as number);
    s6 += share * (errors[e + 6] as number);
    s7 += share * (errors[e + 7] as number);
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  sums[4] = s4;
  sums[5] = s5;
  sums[6] = s6;
  sums[7] = s7;
}

/** Rounds a weight [rows, width] with compensation, on the scales of plain rounding. */
export function quantizeCompensated(
  weight: Tensor,
  options: WeightOptions,
  compensation: Compensation,
): QuantizedWeight {
  const { quant } = quantizeWeight(weight, options);
  const { stored } = roundCompensated(readF32(weight), stepsOf(quant), compensation, options.dtype);
  return { tensor: packIntegers(options.dtype, weight.shape, stored), quant };
}

/**
 * Rounds a weight [rows, width] with compensation, except rows that this makes worse (one in a hundred of a random
 * weight): they are rounded to the nearest.
 */
export function quantizeByGram(weight: Tensor, options: WeightOptions, compensation: Compensation): QuantizedWeight {
  const { tensor, quant } = quantizeWeight(weight, options);
  const values = readF32(weight);
  const nearest = Int8Array.from(readF32(tensor));
  const { stored, losses } = roundCompensated(values, stepsOf(quant), compensation, options.dtype);
  const { width } = compensation;
  for (const [row, loss] of lossesOf(values, nearest, stepsOf(quant), compensation).entries()) {
    if (loss < (losses[row] as number)) stored.set(nearest.subarray(row * width, (row + 1) * width), row * width);
  }
  return { tensor: packIntegers(options.dtype, weight.shape, stored), quant };
}

function stepsOf(quant: Quant): Steps {
  if (quant.per !== 'tensor') return quant;
  return { scales: Float32Array.of(quant.scale), zeroPoints: Int32Array.of(quant.zeroPoint) };
}
