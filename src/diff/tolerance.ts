import type { DType } from '../ir/tensor.ts';

/**
 * Distance up to which values count as equal: |a - b| <= absolute + relative · max(max |a|, max |b|) of their tensor.
 */
export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

export const EXACT: Tolerance = { absolute: 0, relative: 0 };

export function limitOf({ absolute, relative }: Tolerance, largest: number): number {
  return absolute + relative * largest;
}

/** Relative error of rounding, half a unit in the last place; some converters cut bf16 off, which costs a whole one. */
const PRECISION: { readonly [D in DType]?: number } = { f32: 2 ** -24, f16: 2 ** -11, bf16: 2 ** -7 };

/** Absolute error of rounding, half of the least step that f16 has: below 2^-14 it is the same everywhere. */
const SUBNORMAL: { readonly [D in DType]?: number } = { f16: 2 ** -25 };

/** True where b is what a gives when it is stored in b's type, or the other way round. */
export function isRounding(a: Float32Array, b: Float32Array, from: DType, to: DType): boolean {
  const relative = Math.max(PRECISION[from] ?? 0, PRECISION[to] ?? 0);
  const absolute = Math.max(SUBNORMAL[from] ?? 0, SUBNORMAL[to] ?? 0);
  for (let i = 0; i < a.length; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    if (Object.is(x, y)) continue;
    if (!(Math.abs(x - y) <= absolute + relative * Math.max(Math.abs(x), Math.abs(y)))) return false;
  }
  return true;
}
