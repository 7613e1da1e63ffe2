import { isFloat } from '../../ir/op.ts';
import { broadcast, isStatic, sizeOf } from '../../ir/shape.ts';
import type { DType } from '../../ir/tensor.ts';
import {
  addSizes,
  constantSize,
  divideSizes,
  leastOf,
  limitedSize,
  mostOf,
  multiplySizes,
  negateSize,
  numberOf,
  ONE,
  type Size,
  sameSize,
  subtractSizes,
  ZERO,
} from './sizes.ts';
import {
  asIndex,
  asList,
  dtypeOf,
  type IndexValue,
  isUniform,
  type ListValue,
  MAX_LIST,
  type Value,
} from './values.ts';

/** Computes a binary operator on two whole numbers; null where the result depends on the run. Yes is 1, no is 0. */
type Compute = (a: Size, b: Size) => Size | null;

const YES = ONE;
const NO = ZERO;

/** Answers yes or no by what a - b can be. */
function bySign(test: (difference: Size) => boolean | null): Compute {
  return (a, b) => {
    const answer = test(subtractSizes(a, b));
    return answer === null ? null : answer ? YES : NO;
  };
}

function isBelow(limit: number): (difference: Size) => boolean | null {
  return (difference) => (mostOf(difference) < limit ? true : leastOf(difference) >= limit ? false : null);
}

function isAbove(limit: number): (difference: Size) => boolean | null {
  const isBelowNegated = isBelow(-limit);
  return (difference) => isBelowNegated(negateSize(difference));
}

/** Picks the larger of two sizes, or the smaller with the sign turned. */
function pickBySign(sign: 1 | -1): Compute {
  return (a, b) => {
    const difference = sign === 1 ? subtractSizes(a, b) : subtractSizes(b, a);
    return leastOf(difference) >= 0 ? a : mostOf(difference) <= 0 ? b : null;
  };
}

/** The smaller of a size and a number, as what is left of an axis that is cut to it. */
function limited(size: Size, limit: Size): Size | null {
  const most = numberOf(limit);
  return most === null || most < 1 ? null : limitedSize(size, most);
}

function logical(compute: (a: boolean, b: boolean) => boolean): Compute {
  return (a, b) => {
    const x = numberOf(a);
    const y = numberOf(b);
    return x === null || y === null ? null : compute(x !== 0, y !== 0) ? YES : NO;
  };
}

const operators: { readonly [op: string]: Compute } = {
  Add: addSizes,
  Sub: subtractSizes,
  Mul: multiplySizes,
  Div: divideSizes,
  Max: pickBySign(1),
  Min: (a, b) => pickBySign(-1)(a, b) ?? limited(a, b) ?? limited(b, a),
  Equal: bySign((difference) =>
    difference.size === 0 ? true : isAbove(0)(difference) || isBelow(0)(difference) ? false : null,
  ),
  Less: bySign(isBelow(0)),
  LessOrEqual: bySign(isBelow(1)),
  Greater: bySign(isAbove(0)),
  GreaterOrEqual: bySign(isAbove(-1)),
  And: logical((a, b) => a && b),
  Or: logical((a, b) => a || b),
  Mod(a, b) {
    const x = numberOf(a);
    const y = numberOf(b);
    // The sign is the divisor's, as in Python.
    return x === null || y === null || y === 0 ? null : constantSize(((x % y) + y) % y);
  },
  FMod(a, b) {
    const x = numberOf(a);
    const y = numberOf(b);
    return x === null || y === null || y === 0 ? null : constantSize(x % y);
  },
};

const BOOLEAN: ReadonlySet<string> = new Set([
  'Equal',
  'Less',
  'LessOrEqual',
  'Greater',
  'GreaterOrEqual',
  'And',
  'Or',
]);

/** Operators whose result is another one on floats, which are rounded to f32. */
const floatOperators: { readonly [op: string]: (a: number, b: number) => number } = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Mod: () => Number.NaN,
  FMod: (a, b) => a % b,
};

/** Computes on floats as an operator does that has no form for symbols; null where the result is no number. */
function onFloats(compute: (a: number, b: number) => number): Compute {
  return (a, b) => {
    const [x, y] = [numberOf(a), numberOf(b)];
    const result = x === null || y === null ? Number.NaN : Math.fround(compute(x, y));
    return Number.isNaN(result) ? null : constantSize(result);
  };
}

/** Computes a binary operator on numbers that are known before the run; null where they are not. */
export function integerResult(op: string, a: Value, b: Value): Value | null {
  const real = isFloat(dtypeOf(a)) || isFloat(dtypeOf(b)) ? floatOperators[op] : undefined;
  const compute = real ? onFloats(real) : operators[op];
  if (compute === undefined) return null;
  const x = asList(a);
  const y = asList(b);
  const listed = x && y && onLists(compute, x, y, BOOLEAN.has(op) ? 'bool' : x.dtype);
  if (listed) return listed;
  const left = asIndex(a);
  const right = asIndex(b);
  return left && right && onIndices(op, compute, left, right);
}

function onLists(compute: Compute, a: ListValue, b: ListValue, dtype: DType): ListValue | null {
  const shape = broadcast(a.shape, b.shape);
  if (shape === null || !isStatic(shape)) return null;
  const elements: Size[] = [];
  const count = sizeOf(shape);
  if (count > MAX_LIST) return null;
  for (let i = 0; i < count; i++) {
    const result = compute(elementAt(a, shape, i), elementAt(b, shape, i));
    if (result === null) return null;
    elements.push(result);
  }
  return { kind: 'list', dtype, shape, elements };
}

/** Element at place `i` of the shape that the list is broadcast to. */
function elementAt(list: ListValue, shape: readonly number[], i: number): Size {
  let rest = i;
  let at = 0;
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const position = rest % (shape[axis] as number);
    rest = Math.floor(rest / (shape[axis] as number));
    const own = list.shape[axis - shape.length + list.shape.length];
    if (own === undefined) continue;
    if (own !== 1) at += position * step;
    step *= own;
  }
  return list.elements[at] as Size;
}

/** Computes on index grids: sums and multiples are grids, comparisons are where the whole grid has one answer. */
function onIndices(op: string, compute: Compute, a: IndexValue, b: IndexValue): IndexValue | null {
  const rank = Math.max(a.shape.length, b.shape.length);
  const x = extended(a, rank);
  const y = extended(b, rank);
  const shape: Size[] = [];
  for (let i = 0; i < rank; i++) {
    const [left, right] = [x.shape[i] as Size, y.shape[i] as Size];
    if (numberOf(left) !== 1 && numberOf(right) !== 1 && !sameSize(left, right)) return null;
    shape.push(numberOf(left) === 1 ? right : left);
  }
  const result = (offset: Size | null, strides: readonly (Size | null)[], dtype = x.dtype): IndexValue | null =>
    offset === null || strides.includes(null)
      ? null
      : { kind: 'index', dtype, shape, offset, strides: strides as Size[] };
  if (op === 'Add' || op === 'Sub') {
    return result(
      compute(x.offset, y.offset),
      x.strides.map((stride, i) => compute(stride, y.strides[i] as Size)),
    );
  }
  if (op === 'Mul') {
    const [grid, factor] = isUniform(y) ? [x, y] : [y, x];
    if (!isUniform(factor)) return null;
    return result(
      compute(grid.offset, factor.offset),
      grid.strides.map((stride) => compute(stride, factor.offset)),
    );
  }
  if (!BOOLEAN.has(op)) return isUniform(x) && isUniform(y) ? result(compute(x.offset, y.offset), x.strides) : null;
  const strides = shape.map(() => ZERO);
  if (op === 'And' || op === 'Or')
    return isUniform(x) && isUniform(y) ? result(compute(x.offset, y.offset), strides, 'bool') : null;
  return result(comparedEverywhere(op, compute, x, y, shape), strides, 'bool');
}

/** Answer of a comparison at the corners of the grid of differences, where all corners agree. */
function comparedEverywhere(
  op: string,
  compute: Compute,
  a: IndexValue,
  b: IndexValue,
  shape: readonly Size[],
): Size | null {
  let least = subtractSizes(a.offset, b.offset);
  let most = least;
  for (let i = 0; i < shape.length; i++) {
    const stride = subtractSizes(a.strides[i] as Size, b.strides[i] as Size);
    const reach = multiplySizes(stride, subtractSizes(shape[i] as Size, ONE));
    if (reach === null) return null;
    if (leastOf(stride) >= 0) most = addSizes(most, reach);
    else if (mostOf(stride) <= 0) least = addSizes(least, reach);
    else return null;
  }
  // Between corners of which one is above and one below, some difference may be 0.
  if (op === 'Equal' && least !== most && leastOf(least) <= 0 && mostOf(most) >= 0) return null;
  const low = compute(least, ZERO);
  const high = compute(most, ZERO);
  return low && high && sameSize(low, high) ? low : null;
}

function extended(index: IndexValue, rank: number): IndexValue {
  const missing = rank - index.shape.length;
  return {
    ...index,
    shape: [...new Array<Size>(missing).fill(ONE), ...index.shape],
    strides: [...new Array<Size>(missing).fill(ZERO), ...index.strides],
  };
}
