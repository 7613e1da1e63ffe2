import { symmetricEigen } from './symmetric-eigen.ts';

/** The number of rows that are worked on at once: transposed, they stay in the cache. */
const BLOCK_ROWS = 128;

/** The axes of a table's rows with how much each contributes. */
export interface PrincipalAxes {
  /** The weighted mean of the rows [width]. */
  readonly mean: Float64Array;
  /** The energy Σ weight · (row · axis)² of each axis, over the rows less their mean, largest first. */
  readonly energies: Float64Array;
  /** The axes [width, width]: row i is the unit axis of energies[i]. */
  readonly axes: Float64Array;
  /** The energy of all rows with their mean, Σ weight · |row|². */
  readonly total: number;
}

/**
 * Finds the axes along which rows [count, width] spread most: for any rank r, mean + the first r axes give the rank-r
 * table that is nearest to all rows in weighted least squares (Eckart and Young). Computed from the Gram matrix [width,
 * width] in f64, so that the number of rows costs time but no memory. Weights are at least 0, and one of them is more.
 */
export function principalAxes(rows: Float32Array, width: number, weights: Float64Array): PrincipalAxes {
  const count = weights.length;
  const mean = new Float64Array(width);
  let sum = 0;
  for (let row = 0, at = 0; row < count; row++) {
    const weight = weights[row] as number;
    sum += weight;
    for (let i = 0; i < width; i++, at++) mean[i] = (mean[i] as number) + weight * (rows[at] as number);
  }
  for (let i = 0; i < width; i++) mean[i] = (mean[i] as number) / sum;
  const gram = weightedGram(rows, width, weights, mean);
  let total = 0;
  for (let i = 0; i < width; i++) total += (gram[i * width + i] as number) + sum * (mean[i] as number) ** 2;
  const { values, vectors } = symmetricEigen(gram, width);
  // An eigenvalue of zero may come out negative by rounding.
  return { mean, energies: values.map((value) => Math.max(value, 0)), axes: vectors, total };
}

/** Computes the lower triangle of Σ weight (row - mean)(row - mean)ᵀ. */
function weightedGram(rows: Float32Array, width: number, weights: Float64Array, mean: Float64Array): Float64Array {
  const gram = new Float64Array(width * width);
  /** Some rows transposed, [width, BLOCK_ROWS]: a channel's values stand side by side. */
  const block = new Float64Array(width * BLOCK_ROWS);
  for (let from = 0; from < weights.length; from += BLOCK_ROWS) {
    block.fill(0);
    const count = Math.min(BLOCK_ROWS, weights.length - from);
    for (let r = 0; r < count; r++) {
      const root = Math.sqrt(weights[from + r] as number);
      const at = (from + r) * width;
      for (let i = 0; i < width; i++)
        block[i * BLOCK_ROWS + r] = root * ((rows[at + i] as number) - (mean[i] as number));
    }
    addProducts(gram, block, width);
  }
  return gram;
}

/**
 * Computes gram[i, j] += block[i] · block[j] for j ≤ i, two rows and two columns at a time. Where the last channel has
 * no second, it stands in for it.
 */
function addProducts(gram: Float64Array, block: Float64Array, width: number): void {
  for (let i = 0; i < width; i += 2) {
    const i1 = Math.min(i + 1, width - 1);
    for (let j = 0; j <= i; j += 2) {
      const j1 = Math.min(j + 1, width - 1);
      const [a, b, c, d] = [i * BLOCK_ROWS, i1 * BLOCK_ROWS, j * BLOCK_ROWS, j1 * BLOCK_ROWS];
      let [s00, s01, s10, s11] = [0, 0, 0, 0];
      for (let r = 0; r < BLOCK_ROWS; r++) {
        const x = block[a + r] as number;
        const y = block[b + r] as number;
        const u = block[c + r] as number;
        const v = block[d + r] as number;
        s00 += x * u;
        s01 += x * v;
        s10 += y * u;
        s11 += y * v;
      }
      gram[i * width + j] = (gram[i * width + j] as number) + s00;
      if (j1 !== j) gram[i * width + j1] = (gram[i * width + j1] as number) + s01;
      if (i1 !== i) gram[i1 * width + j] = (gram[i1 * width + j] as number) + s10;
      if (i1 !== i && j1 !== j) gram[i1 * width + j1] = (gram[i1 * width + j1] as number) + s11;
    }
  }
}
