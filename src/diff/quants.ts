import type { Constant, Node } from '../ir/graph.ts';
import type { Quant, TensorType } from '../ir/tensor.ts';
import type { Contents } from './contents.ts';
import type { QuantDifference } from './difference.ts';
import { stepSizes } from './values.ts';

type Change = QuantDifference['change'];

/** The first thing in which two ways of storing values differ, or null. */
export function quantChange(a: TensorType, b: TensorType, contents: Contents): Change | null {
  if (a.quant === undefined && b.quant === undefined) return null;
  if (a.quant === undefined || b.quant === undefined) return 'scheme';
  if (granularity(a.quant) !== granularity(b.quant)) return 'granularity';
  if (a.dtype !== b.dtype) return 'storage';
  if (contents.quantKey(a.quant) === contents.quantKey(b.quant)) return null;
  return contents.quantKey(withoutZeroPoints(a.quant)) === contents.quantKey(withoutZeroPoints(b.quant))
    ? 'zero-points'
    : 'scales';
}

/** The difference in how two values are stored; how far apart they are is not told. */
export function quantDifference(of: QuantDifference['of'], a: Node, b: Node, change: Change): QuantDifference {
  return {
    kind: 'quant',
    change,
    of,
    value: { a: a.name, b: b.name },
    from: storageText(a.type),
    to: storageText(b.type),
    error: null,
  };
}

function granularity(quant: Quant): string {
  return quant.per === 'tensor' ? 'tensor' : `${quant.per} ${quant.axis} ${quant.per === 'block' ? quant.size : ''}`;
}

function withoutZeroPoints(quant: Quant): Quant {
  if (quant.per === 'tensor') return { ...quant, zeroPoint: 0 };
  const { zeroPoints: _, ...rest } = quant;
  return rest;
}

/** Counts the scales or zero points that differ, where there is more than one. */
export function countDiffering(a: TensorType, b: TensorType): { readonly count: number; readonly of: number } | null {
  const [from, to] = [a.quant, b.quant];
  if (from === undefined || to === undefined || from.per === 'tensor' || to.per === 'tensor') return null;
  let count = 0;
  for (const [i, scale] of from.scales.entries()) {
    if (scale !== to.scales[i] || (from.zeroPoints?.[i] ?? 0) !== (to.zeroPoints?.[i] ?? 0)) count++;
  }
  return { count, of: from.scales.length };
}

/**
 * Storage in words: `f32`, `i8 per tensor, scale 0.0235, zero point -128`, `i8 per channel 0, 512 scales 0.0012…0.034`.
 */
function storageText({ dtype, quant }: TensorType): string {
  if (quant === undefined) return dtype;
  if (quant.per === 'tensor') return `${dtype} per tensor, scale ${digits(quant.scale)}, zero point ${quant.zeroPoint}`;
  const { scales, zeroPoints, axis } = quant;
  const along = quant.per === 'channel' ? `per channel ${axis}` : `per block of ${quant.size} along ${axis}`;
  const [least, most] = rangeOf(scales);
  const scalesText = Number.isFinite(least) ? ` ${digits(least)}…${digits(most)}` : '';
  const shifted = zeroPoints?.filter((zeroPoint) => zeroPoint !== 0).length ?? 0;
  return `${dtype} ${along}, ${scales.length} scales${scalesText}${shifted > 0 ? `, ${shifted} zero points` : ''}`;
}

/** Least and largest value; NaN, for scales of which only the hash is known, makes both infinite. */
function rangeOf(values: Float32Array): [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}

/** The digits of a scale that tell it from any other: all that an f32 has. */
function digits(value: number): string {
  for (let count = 4; count < 9; count++) {
    if (Math.fround(Number(value.toPrecision(count))) === Math.fround(value))
      return String(Number(value.toPrecision(count)));
  }
  return String(value);
}

/** True where two constants stand for the same numbers as far as the coarser storage can: half a step of each. */
export function isRequantized(a: Constant, b: Constant, valuesA: Float32Array, valuesB: Float32Array): boolean {
  const steps = [a, b].map(({ type, tensor }) =>
    type.quant === undefined ? undefined : stepSizes(tensor.shape, type.quant, valuesA.length),
  );
  for (let i = 0; i < valuesA.length; i++) {
    const x = valuesA[i] as number;
    const y = valuesB[i] as number;
    const step = (steps[0]?.[i] ?? 0) + (steps[1]?.[i] ?? 0);
    // The quotient was rounded in f32 before it was rounded to a whole number.
    if (Math.abs(x - y) > 0.5 * step + 2 ** -20 * Math.max(Math.abs(x), Math.abs(y))) return false;
  }
  return true;
}
