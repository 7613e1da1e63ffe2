/** Decibels that stand for minus infinity and for NaN: nothing of the reference is left. */
export const LEAST_DB = -200;

/** Decibels as JSON can hold them: null for infinitely many, where both sides are equal. */
export function plainDecibels(value: number): number | null {
  if (value === Number.POSITIVE_INFINITY) return null;
  return value >= LEAST_DB ? value : LEAST_DB;
}
