import { type OpName, opDef } from '../ir/ops/index.ts';
import { storedRange } from '../ir/quantized.ts';
import type { Quant } from '../ir/tensor.ts';

/** A range of real values that must be told apart; both ends are finite and least ≤ most. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

export type ActivationDType = 'i8' | 'u8' | 'i16';

/**
 * The least scale. Below f32's normal numbers scales lose digits, and TFLite's integer multipliers need s_x·s_w/s_y to
 * be a normal number.
 */
const LEAST_SCALE = 2 ** -60;

/**
 * Computes scale and zero point per tensor for values in a range. Zero is always representable, so that padding and
 * ReLU stay exact. `symmetric` puts the zero point at 0 (what XNNPACK requires of a right operand); i16 always has it
 * there.
 */
export function quantOf(range: Range, dtype: ActivationDType, symmetric = false): Quant & { readonly per: 'tensor' } {
  const least = Math.min(0, range.least);
  const most = Math.max(0, range.most);
  const [low, high] = storedRange(dtype);
  if (symmetric || dtype === 'i16') {
    const scale = Math.max(-least, most) / high;
    return { per: 'tensor', scale: positive(scale), zeroPoint: 0 };
  }
  const scale = positive((most - least) / (high - low));
  const zeroPoint = Math.min(high, Math.max(low, Math.round(low - least / scale)));
  return { per: 'tensor', scale, zeroPoint };
}

/** Rounds a scale to f32, which is what files hold; values that are all zero get 1. */
function positive(scale: number): number {
  return scale < LEAST_SCALE ? 1 : Math.fround(scale);
}

/** The scale and zero point of an op that has the same ones whatever it reads; undefined where its values decide. */
export function fixedQuant(op: OpName, dtype: 'i8' | 'i16'): (Quant & { readonly per: 'tensor' }) | undefined {
  const { int8 } = opDef(op);
  return typeof int8 === 'object' ? { per: 'tensor', ...int8[dtype] } : undefined;
}
