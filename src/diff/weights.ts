import type { Constant } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { sameShape, shapeText } from '../ir/shape.ts';
import { type Contents, isFingerprinted } from './contents.ts';
import type { Names, QuantDifference, WeightDifference } from './difference.ts';
import type { Dims } from './dims.ts';
import { countDiffering, isRequantized, quantChange, quantDifference } from './quants.ts';
import { isTransposed, relate } from './relations.ts';
import { isRounding, limitOf, type Tolerance } from './tolerance.ts';
import { compareValues, errorOf, realValues } from './values.ts';

/** Constants in the same place of both graphs. */
export interface Slot {
  readonly a: Constant;
  readonly b: Constant;
}

interface CompareOptions {
  readonly contents: Contents;
  readonly tolerance: Tolerance;
  readonly dtype: boolean;
  readonly dims: Dims;
}

/** Most values that are listed. */
const MAX_TOLD_VALUES = 4;

/** True for constants of the same bytes, stored in the same way. */
export function isSameConstant({ a, b }: Slot, contents: Contents): boolean {
  return quantChange(a.type, b.type, contents) === null && contents.key(a) === contents.key(b);
}

/**
 * Differences of two constants that are not the same: none that counts, in their values, in how they are stored, or in
 * both. Reads one tensor of each.
 */
export function compareConstants({ a, b }: Slot, options: CompareOptions): (WeightDifference | QuantDifference)[] {
  const { contents, dims } = options;
  const change = quantChange(a.type, b.type, contents);
  const tensor: Names = { a: a.name, b: b.name };
  const base = { tensor, from: typeOf(a), to: typeOf(b) };
  if (isFingerprinted(a) || isFingerprinted(b)) return withoutValues({ a, b }, change, base);
  const from = realValues(a.tensor, a.type.quant);
  const to = realValues(b.tensor, b.type.quant);
  if (!sameShape(a.tensor.shape, b.tensor.shape)) {
    if (dims.explain(a.tensor.shape, b.tensor.shape) && isCut(from, to)) return [];
    const isTurned = isTransposed(from, to, a.tensor.shape, b.tensor.shape);
    return [{ kind: 'weights', change: isTurned ? 'transposed' : 'shape', ...base, error: null }];
  }
  const compared = compareValues(from, to);
  const isClose = compared.maxAbs <= limitOf(options.tolerance, Math.max(compared.largestA, compared.largestB));
  const error = errorOf(compared);
  if (change !== null) {
    const storage: QuantDifference = { ...quantDifference('weight', a, b, change), ...differing(a, b, change), error };
    // The same integers under another scale: the scale is what changed.
    const isSame = isChangeOfNumbers(change) ? contents.key(a) === contents.key(b) : isClose;
    if (isSame || isRequantized(a, b, from, to)) return [storage];
    return [storage, { kind: 'weights', change: 'values', ...base, error }];
  }
  if (a.tensor.dtype !== b.tensor.dtype) {
    // Integers that stand for themselves in one graph and floats in the other have nothing to compare.
    const isStored = isFloat(a.tensor.dtype) === isFloat(b.tensor.dtype);
    const retyped: WeightDifference = { kind: 'weights', change: 'dtype', ...base, error: isStored ? error : null };
    if (isClose) return options.dtype ? [retyped] : [];
    if (!isStored || isRounding(from, to, a.tensor.dtype, b.tensor.dtype)) return [retyped];
    return [retyped, { kind: 'weights', ...relate(from, to, a.tensor.shape, compared), ...base, error }];
  }
  if (isClose) return [];
  const few = from.length <= MAX_TOLD_VALUES ? { values: { a: [...from], b: [...to] } } : {};
  return [{ kind: 'weights', ...relate(from, to, a.tensor.shape, compared), ...base, error, ...few }];
}

/** A constant's storage: `f32[512, 128]`. */
function typeOf({ tensor }: Constant): string {
  return `${tensor.dtype}${shapeText(tensor.shape)}`;
}

/** True for changes that leave the scheme and the integer type. */
function isChangeOfNumbers(change: QuantDifference['change']): boolean {
  return change === 'scales' || change === 'zero-points';
}

function differing(a: Constant, b: Constant, change: QuantDifference['change']): Pick<QuantDifference, 'differing'> {
  const count = isChangeOfNumbers(change) ? countDiffering(a.type, b.type) : null;
  return count === null ? {} : { differing: count };
}

/** Differences of two constants of which graph text gave only the hash. */
function withoutValues(
  { a, b }: Slot,
  change: QuantDifference['change'] | null,
  base: Pick<WeightDifference, 'tensor' | 'from' | 'to'>,
): (WeightDifference | QuantDifference)[] {
  if (change !== null) return [quantDifference('weight', a, b, change)];
  const differing = !sameShape(a.tensor.shape, b.tensor.shape)
    ? 'shape'
    : a.tensor.dtype !== b.tensor.dtype
      ? 'dtype'
      : 'values';
  return [{ kind: 'weights', change: differing, ...base, error: null }];
}

/** True where the shorter one is the beginning of the longer one, as of a table of positions. */
function isCut(a: Float32Array, b: Float32Array): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.every((value, i) => value === long[i]);
}
