import { factorCholesky } from './cholesky.ts';

/** Sums up the diagonal of a square matrix, its trace. */
export function diagonalSum(matrix: Float64Array, size: number): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += matrix[i * size + i] as number;
  return sum;
}

/** Adds a ridge to the diagonal of a Gram matrix [size, size] and factors it in place; returns it. */
export function factorWithRidge(gram: Float64Array, size: number, ridge: number): Float64Array {
  for (let i = 0; i < size; i++) gram[i * size + i] = (gram[i * size + i] as number) + ridge;
  factorCholesky(gram, size);
  return gram;
}
