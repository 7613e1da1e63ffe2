import type { Constant } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { sameShape, shapeText } from '../ir/shape.ts';
import { type Contents, isFingerprinted } from './contents.ts';
import type { Names, QuantDifference, WeightDifference } from './difference.ts';
import type { Dims } from './dims.ts';
import { countDiffering, isRequantized, quantChange, storageText } from './quants.ts';
import { isTransposed, relate } from './relations.ts';
import { isRounding, limitOf, type Tolerance } from './tolerance.ts';
import { compareValues, errorOf, realValues } from './values.ts';

/** Constants in the same place of both graphs. */
export interface Slot {
  readonly a: Constant;
  readonly b: Constant;
}

export interface WeightOptions {
  readonly contents: Contents;
  readonly tolerance: Tolerance;
  readonly dtype: boolean;
  readonly dims: Dims;
}

/** Up to this many values are told. */
const MAX_TOLD_VALUES = 4;

/** The same bytes, stored in the same way. */
export function isSameConstant({ a, b }: Slot, contents: Contents): boolean {
  return quantChange(a.type, b.type, contents) === null && contents.key(a) === contents.key(b);
}

/** What differs between two constants that are not the same: nothing that counts, their values, how they are stored, or both. Reads one tensor of each. */
export function compareConstants({ a, b }: Slot, options: WeightOptions): (WeightDifference | QuantDifference)[] {
  const { contents, dims } = options;
  const change = quantChange(a.type, b.type, contents);
  const tensor: Names = { a: a.name, b: b.name };
  const base = { tensor, from: typeOf(a), to: typeOf(b) };
  if (isFingerprinted(a) || isFingerprinted(b)) return withoutValues({ a, b }, change, base);
  const values = [realValues(a.tensor, a.type.quant), realValues(b.tensor, b.type.quant)] as const;
  const [from, to] = values;
  if (!sameShape(a.tensor.shape, b.tensor.shape)) {
    if (dims.explain(a.tensor.shape, b.tensor.shape) && isCut(from, to)) return [];
    const isTurned = isTransposed(from, to, a.tensor.shape, b.tensor.shape);
    return [{ kind: 'weights', change: isTurned ? 'transposed' : 'shape', ...base, error: null }];
  }
  const found = compareValues(from, to);
  const limit = limitOf(options.tolerance, Math.max(found.largestA, found.largestB));
  const error = errorOf(found);
  if (change !== null) {
    const storage: QuantDifference = { ...quantDifference({ a, b }, change), ...differing(a, b, change), error };
    const isSame =
      change === 'scales' || change === 'zero-points' ? sameStored(options, { a, b }) : found.maxAbs <= limit;
    if (isSame || isRequantized(a, b, from, to)) return [storage];
    return [storage, { kind: 'weights', change: 'values', ...base, error }];
  }
  if (a.tensor.dtype !== b.tensor.dtype) {
    // Integers that stand for themselves in one graph and floats in the other have nothing to compare.
    const isStored = isFloat(a.tensor.dtype) === isFloat(b.tensor.dtype);
    const retyped: WeightDifference = { kind: 'weights', change: 'dtype', ...base, error: isStored ? error : null };
    if (found.maxAbs <= limit) return options.dtype ? [retyped] : [];
    if (!isStored || isRounding(from, to, a.tensor.dtype, b.tensor.dtype)) return [retyped];
    return [retyped, { kind: 'weights', ...relate(from, to, a.tensor.shape, found), ...base, error }];
  }
  if (found.maxAbs <= limit) return [];
  const few = from.length <= MAX_TOLD_VALUES ? { values: { a: [...from], b: [...to] } } : {};
  return [{ kind: 'weights', ...relate(from, to, a.tensor.shape, found), ...base, error, ...few }];
}

/** `f32[512, 128]` */
function typeOf({ tensor }: Constant): string {
  return `${tensor.dtype}${shapeText(tensor.shape)}`;
}

/** The same integers under another scale: the scale is what changed. */
function sameStored({ contents }: WeightOptions, { a, b }: Slot): boolean {
  return contents.key(a) === contents.key(b);
}

function differing(a: Constant, b: Constant, change: QuantDifference['change']): Pick<QuantDifference, 'differing'> {
  const count = change === 'scales' || change === 'zero-points' ? countDiffering(a.type, b.type) : null;
  return count === null ? {} : { differing: count };
}

function quantDifference({ a, b }: Slot, change: QuantDifference['change']): QuantDifference {
  return {
    kind: 'quant',
    change,
    of: 'weight',
    value: { a: a.name, b: b.name },
    from: storageText(a.type),
    to: storageText(b.type),
    error: null,
  };
}

function withoutValues(
  slot: Slot,
  change: QuantDifference['change'] | null,
  base: Pick<WeightDifference, 'tensor' | 'from' | 'to'>,
): (WeightDifference | QuantDifference)[] {
  if (change !== null) return [quantDifference(slot, change)];
  const { a, b } = slot;
  const changed = sameShape(a.tensor.shape, b.tensor.shape)
    ? a.tensor.dtype === b.tensor.dtype
      ? 'values'
      : 'dtype'
    : 'shape';
  return [{ kind: 'weights', change: changed, ...base, error: null }];
}

/** True where the shorter one is the beginning of the longer one, as of a table of positions. */
function isCut(a: Float32Array, b: Float32Array): boolean {
  const [short, long] = a.length < b.length ? [a, b] : [b, a];
  return short.every((value, i) => value === long[i]);
}
