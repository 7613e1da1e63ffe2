import { solveCholesky } from './cholesky.ts';
import { timesTransposed } from './matrices.ts';
import { symmetricEigen } from './symmetric-eigen.ts';

/** A linear map as two narrow ones: y ≈ expand · (reduce · h). */
export interface ReducedRank {
  /** The matrix [rank, in]; what it gives has the covariance 1 where the features have the one of the factor. */
  readonly reduce: Float64Array;
  /** The matrix [out, rank]. */
  readonly expand: Float64Array;
}

/** Options of `reducedRank`. */
export interface ReducedRankOptions {
  readonly rank: number;
  /** Cholesky factor [in, in] of hᵀh over the text, as `factorCholesky` leaves it. */
  readonly factor: Float64Array;
  /** How much the error of each output counts, squared. Default: alike. */
  readonly weights?: Float64Array | undefined;
}

/**
 * Finds the map of a rank that is nearest to G [out, in] on features h: with L Lᵀ = hᵀh it is a singular value
 * decomposition of diag(weights) G L, cut off (reduced-rank regression, Izenman 1975). G itself is best a fit by least
 * squares.
 */
export function reducedRank(
  map: Float64Array,
  size: number,
  { rank, factor, weights }: ReducedRankOptions,
): ReducedRank {
  const out = map.length / size;
  const turned = timesLower(map, factor, size);
  const gram = new Float64Array(size * size);
  for (let o = 0; o < out; o++) {
    const weight = (weights?.[o] ?? 1) ** 2;
    const at = o * size;
    for (let i = 0; i < size; i++) {
      const value = weight * (turned[at + i] as number);
      const row = i * size;
      for (let j = 0; j <= i; j++) gram[row + j] = (gram[row + j] as number) + value * (turned[at + j] as number);
    }
  }
  const directions = symmetricEigen(gram, size).vectors.slice(0, rank * size);
  return { expand: timesTransposed(turned, directions, size), reduce: unwhitened(directions, factor, size) };
}

/**
 * Computes L⁻ᵀ v for each row v of [count, size], from (L Lᵀ)⁻¹ L v: products of features with the result have the
 * covariance of products of white noise with v.
 */
export function unwhitened(rows: Float64Array, factor: Float64Array, size: number): Float64Array {
  const sides = new Float64Array(rows.length);
  for (let at = 0; at < rows.length; at += size) {
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j <= i; j++) sum += (factor[i * size + j] as number) * (rows[at + j] as number);
      sides[at + i] = sum;
    }
  }
  solveCholesky(factor, size, sides);
  return sides;
}

/** Computes A L [rows, size] for the lower triangle of L. */
function timesLower(a: Float64Array, factor: Float64Array, size: number): Float64Array {
  const result = new Float64Array(a.length);
  for (let at = 0; at < a.length; at += size) {
    for (let i = 0; i < size; i++) {
      const value = a[at + i] as number;
      const row = i * size;
      for (let j = 0; j <= i; j++) result[at + j] = (result[at + j] as number) + value * (factor[row + j] as number);
    }
  }
  return result;
}
