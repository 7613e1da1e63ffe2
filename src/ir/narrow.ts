import type { Shape } from './shape.ts';

/**
 * The least number of rows, and of columns, of a weight that is quantized. Integer matrix kernels make 16 outputs at a
 * time: a head with fewer gains nothing, and its error is the answer's own. Of fewer columns, rounding what they are
 * multiplied with costs more than the product.
 */
export const LEAST_SIZE = 16;

/** Whether a weight [out, …, in] is too small to gain from integers. */
export function isNarrowWeight(shape: Shape): boolean {
  return (shape[0] as number) < LEAST_SIZE || (shape.at(-1) as number) < LEAST_SIZE;
}
