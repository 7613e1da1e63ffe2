import { isFloat } from '../../ir/op.ts';
import { transposedQuant } from '../../ir/quantized.ts';
import { sizeOf } from '../../ir/shape.ts';
import { type DType, readF32, readIntegers, tensorOf } from '../../ir/tensor.ts';
import { type GraphImport, notExpressible, sameSizes } from './context.ts';
import { expanded } from './elementwise.ts';
import {
  inputOf,
  intOf,
  intsOf,
  knownAxis,
  knownShape,
  knownSizes,
  numbersOf,
  type OperatorReader,
  tensorOfAttribute,
} from './operation.ts';
import {
  constantSize,
  divideSizes,
  multiplySizes,
  numberOf,
  ONE,
  quotientOf,
  type Size,
  sameSize,
  subtractSizes,
  totalOf,
  ZERO,
} from './sizes.ts';
import { transposedTensor } from './transposed.ts';
import {
  asIndex,
  asList,
  dimsOf,
  dtypeOf,
  type IndexValue,
  isInteger,
  listOf,
  MAX_LIST,
  staticOf,
  type Value,
} from './values.ts';

/** Reads a constant in any of the forms that files have. */
export const constant: OperatorReader = (operation) => {
  const { node, name } = operation;
  const tensor = tensorOfAttribute(operation, 'value');
  if (tensor) return { kind: 'tensor', tensor, name };
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === 'int') return listOf([constantSize(attribute.value)], 'i64', []);
    if (attribute.kind === 'ints') return listOf(attribute.value.map(constantSize));
    if (attribute.kind === 'float') return floats([attribute.value], [], name);
    if (attribute.kind === 'floats') return floats(attribute.value, [attribute.value.length], name);
  }
  return notExpressible('a constant that is no tensor');
};

function floats(values: readonly number[], shape: readonly number[], name: string): Value {
  return { kind: 'tensor', tensor: tensorOf('f32', shape, Float32Array.from(values)), name };
}

export const shape: OperatorReader = (operation) => {
  const sizes = knownShape(inputOf(operation, 0));
  return listOf(sizes.slice(intOf(operation, 'start', 0), intOf(operation, 'end', sizes.length)));
};

export const size: OperatorReader = (operation) => {
  const total = totalOf(knownShape(inputOf(operation, 0)));
  return listOf([total ?? notExpressible('the size of a large shape')], 'i64', []);
};

export const reshape: OperatorReader = (operation) => {
  const { to, name } = operation;
  const x = inputOf(operation, 0);
  const target = knownSizes(inputOf(operation, 1));
  return reshaped(to, x, resolved(knownShape(x), target, intOf(operation, 'allowzero', 0) === 0), name);
};

/** Target of a reshape: 0 stands for the size at the same place, -1 for what is left over. */
function resolved(from: readonly Size[], target: readonly Size[], zeroCopies: boolean): readonly Size[] {
  const sizes = target.map((dim, i) => (numberOf(dim) === 0 && zeroCopies ? (from[i] ?? dim) : dim));
  const open = sizes.findIndex((dim) => numberOf(dim) === -1);
  if (open < 0) return sizes;
  const stated = totalOf(sizes.filter((_, i) => i !== open));
  const total = totalOf(from);
  const left = stated && total && divideSizes(total, stated);
  return sizes.with(open, left ?? notExpressible('a reshape whose open size is no product'));
}

/** A value in another shape with the same elements. */
export function reshaped(to: GraphImport, x: Value, target: readonly Size[], name: string): Value {
  const from = knownShape(x);
  if (sameSizes(from, target)) return x;
  const grid = x.kind === 'index' || x.kind === 'list' ? reshapedNumbers(x, target) : null;
  if (grid) return grid;
  const fixed = staticOf(target);
  const isWhole = x.kind === 'tensor' && fixed !== null && sizeOf(fixed) === sizeOf(x.tensor.shape);
  if (isWhole && (x.quant === undefined || x.quant.per === 'tensor')) {
    return { ...x, tensor: { ...x.tensor, shape: fixed } };
  }
  const dims = dimsOf(target) ?? notExpressible('a reshape to a size that is no product');
  equateTotals(to, from, target);
  return to.emit('reshape', [x], { shape: dims }, name);
}

/** Finds the size that an exporter wrote as a number: [seq, batch, 16] as [8, 2*batch, 8] has 8 tokens. */
function equateTotals(to: GraphImport, from: readonly Size[], target: readonly Size[]): void {
  const [a, b] = [totalOf(from), totalOf(target)];
  if (a === null || b === null || sameSize(a, b)) return;
  const rest = quotientOf(a, b);
  if (rest) to.equate(rest[0], rest[1]);
}

function reshapedNumbers(x: Value, target: readonly Size[]): Value | null {
  const list = asList(x);
  const fixed = staticOf(target);
  if (list && fixed) return { ...list, shape: fixed };
  const grid = asIndex(x);
  return grid && withAxesOfOne(grid, target);
}

/** A grid in another shape: axes of size 1 come and go, the others stay in their order. */
function withAxesOfOne(grid: IndexValue, target: readonly Size[]): IndexValue | null {
  const long = grid.shape.flatMap((dim, i) => (numberOf(dim) === 1 ? [] : [i]));
  const strides: Size[] = [];
  let next = 0;
  for (const dim of target) {
    if (numberOf(dim) === 1) {
      strides.push(ZERO);
      continue;
    }
    const axis = long[next++];
    if (axis === undefined || !sameSizes([grid.shape[axis] as Size], [dim])) return null;
    strides.push(grid.strides[axis] as Size);
  }
  return next === long.length ? { ...grid, shape: target, strides } : null;
}

export const flatten: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const axis = intOf(operation, 'axis', 1);
  const at = axis < 0 ? axis + sizes.length : axis;
  const parts = [totalOf(sizes.slice(0, at)), totalOf(sizes.slice(at))];
  const target = parts.map((part) => part ?? notExpressible('the size of a large shape'));
  return reshaped(operation.to, x, target, operation.name);
};

/** Reads Squeeze, whose axes are an attribute before operator set 13. */
export const squeeze: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const axes = numbersOf(operation, 'axes', 1)?.map((axis) => knownAxis(axis, sizes.length));
  const target = sizes.filter((dim, i) => (axes ? !axes.includes(i) : numberOf(dim) !== 1));
  return reshaped(operation.to, x, target, operation.name);
};

export const unsqueeze: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const given = numbersOf(operation, 'axes', 1) ?? notExpressible('Unsqueeze without axes');
  const rank = sizes.length + given.length;
  const axes = given.map((axis) => knownAxis(axis, rank));
  const rest = sizes[Symbol.iterator]();
  const target = Array.from({ length: rank }, (_, i) =>
    axes.includes(i) ? ONE : ((rest.next().value as Size) ?? ONE),
  );
  return reshaped(operation.to, x, target, operation.name);
};

export const transpose: OperatorReader = (operation) => {
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const permutation = intsOf(operation, 'perm') ?? sizes.map((_, i) => sizes.length - 1 - i);
  if (permutation.every((axis, i) => axis === i)) return x;
  const list = asList(x);
  if (list && list.shape.length === 2 && x.kind !== 'tensor') return turnedList(list.elements, list.shape, list.dtype);
  if (x.kind === 'tensor' && sizes.length === 2) return turnedTensor(x);
  return operation.to.emit('transpose', [x], { permutation }, operation.name);
};

function turnedList(elements: readonly Size[], shape: readonly number[], dtype: DType): Value {
  const [rows = 0, columns = 0] = shape;
  const turned = elements.map((_, i) => elements[(i % rows) * columns + Math.floor(i / rows)] as Size);
  return listOf(turned, dtype, [columns, rows]);
}

/** Turns a constant matrix, its quantization with it. */
export function turnedTensor({ tensor, name, quant }: Value & { kind: 'tensor' }): Value & { kind: 'tensor' } {
  const turned = quant && transposedQuant(tensor.shape, quant);
  return { kind: 'tensor', tensor: transposedTensor(tensor), name, ...(turned && { quant: turned }) };
}

export const expand: OperatorReader = (operation) => {
  const { to } = operation;
  const x = inputOf(operation, 0);
  const target = to.joinShapes(knownShape(x), knownSizes(inputOf(operation, 1)));
  return repeatedTo(to, x, target);
};

function repeatedTo(to: GraphImport, x: Value, target: readonly Size[]): Value {
  if (sameSizes(knownShape(x), target)) return x;
  const grid = isInteger(dtypeOf(x)) ? asIndex(x) : null;
  if (!grid) return expanded(to, x, target);
  const missing = target.length - grid.shape.length;
  return { ...grid, shape: target, strides: target.map((_, i) => grid.strides[i - missing] ?? ZERO) };
}

/** Reads Tile: an axis of size 1 is repeated, a longer one as a whole along an axis that is put before it for that. */
export const tile: OperatorReader = (operation) => {
  const { to, name } = operation;
  const repeats = knownSizes(inputOf(operation, 1));
  let x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const isLong = (axis: number) => numberOf(repeats[axis] ?? ONE) !== 1 && numberOf(sizes[axis] as Size) !== 1;
  x = repeatedTo(
    to,
    x,
    sizes.map((dim, axis) => (isLong(axis) || numberOf(dim) !== 1 ? dim : (repeats[axis] ?? ONE))),
  );
  for (const [axis, dim] of sizes.entries()) {
    if (!isLong(axis)) continue;
    const shape = knownShape(x);
    const repeat = repeats[axis] as Size;
    const split = reshaped(to, x, shape.toSpliced(axis, 0, ONE), `${name}/split_${axis}`);
    const copies = repeatedTo(to, split, shape.toSpliced(axis, 0, repeat));
    const length = multiplySizes(repeat, dim) ?? notExpressible('the size of a large shape');
    x = reshaped(to, copies, shape.with(axis, length), `${name}/joined_${axis}`);
  }
  return x;
};

export const constantOfShape: OperatorReader = (operation) => {
  const sizes = knownSizes(inputOf(operation, 0));
  const value = tensorOfAttribute(operation, 'value');
  // Computed floats are f32 whatever the file calls them.
  const dtype = value === undefined || isFloat(value.dtype) ? 'f32' : value.dtype;
  const [number = 0] = value === undefined ? [] : dtype === 'f32' ? readF32(value) : readIntegers(value);
  return { kind: 'index', dtype, shape: sizes, offset: constantSize(number), strides: sizes.map(() => ZERO) };
};

export const range: OperatorReader = (operation) => {
  const [start, limit, step] = [0, 1, 2].map((i) => knownSizes(inputOf(operation, i))[0]);
  if (start === undefined || limit === undefined || step === undefined) notExpressible('a Range without its bounds');
  const length = subtractSizes(limit, start);
  const [distance, stride] = [numberOf(length), numberOf(step)];
  const dtype = dtypeOf(inputOf(operation, 0));
  if (stride === 1) return { kind: 'index', dtype, shape: [length], offset: start, strides: [step] };
  if (distance === null || stride === null || stride === 0) notExpressible('a Range with a computed step');
  const count = Math.max(0, Math.ceil(distance / stride));
  return { kind: 'index', dtype, shape: [constantSize(count)], offset: start, strides: [step] };
};

export const concat: OperatorReader = (operation) => {
  const { to, inputs, name } = operation;
  const parts = inputs.map((_, i) => inputOf(operation, i));
  const [first, ...others] = parts;
  if (first === undefined) notExpressible('Concat of nothing');
  if (others.length === 0) return first;
  const axis = intOf(operation, 'axis', 0);
  const lists = parts.map(asList);
  const isShort = lists.reduce((total, list) => total + (list?.elements.length ?? 0), 0) <= MAX_LIST;
  if (isShort && lists.every((list) => list !== null && list.shape.length === 1)) {
    return listOf(
      lists.flatMap((list) => list?.elements ?? []),
      dtypeOf(first),
    );
  }
  const rank = knownShape(first).length;
  const grids = parts.map((part) => (isInteger(dtypeOf(part)) ? asIndex(part) : null));
  if (
    knownAxis(axis, rank) === rank - 1 &&
    grids.every((grid) => grid !== null && numberOf(grid.shape.at(-1) ?? ZERO) === 1)
  ) {
    const sides = grids.filter((grid) => grid !== null);
    return {
      kind: 'tuple',
      parts: sides.map((grid) => ({ ...grid, shape: grid.shape.slice(0, -1), strides: grid.strides.slice(0, -1) })),
    };
  }
  return to.emit('concat', parts, { axis }, name);
};

/** Reads Split, whose sizes are an attribute before operator set 13; without any the parts are equal. */
export const split: OperatorReader = (operation) => {
  const { to, node } = operation;
  const x = inputOf(operation, 0);
  const sizes = knownShape(x);
  const axis = knownAxis(intOf(operation, 'axis', 0), sizes.length);
  const parts = numbersOf(operation, 'split', 1) ?? equalParts(sizes[axis] as Size, node.outputs.length);
  let start = 0;
  return parts.map((length, i) => {
    const end = start + length;
    const list = sizes.length === 1 ? asList(x) : null;
    const part = list
      ? listOf(list.elements.slice(start, end), list.dtype)
      : to.emit('slice', [x], { axis, start, end }, node.outputs[i] || `${operation.name}/${i}`);
    start = end;
    return part;
  });
};

/** Sizes of equal parts; the last one is smaller where the whole is no multiple (operator set 18). */
function equalParts(total: Size, count: number): number[] {
  const whole = numberOf(total) ?? notExpressible('Split of an axis of unknown size');
  const length = Math.ceil(whole / count);
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(length, whole - i * length)));
}

/** Reads the product of all of a shape's elements. */
export const reduceProduct: OperatorReader = (operation) => {
  let total: Size | null = ONE;
  for (const factor of knownSizes(inputOf(operation, 0))) total = total && multiplySizes(total, factor);
  const x = inputOf(operation, 0);
  const kept = intOf(operation, 'keepdims', 1) === 1 ? knownShape(x).map(() => 1) : [];
  return listOf([total ?? notExpressible('the size of a large shape')], dtypeOf(x), kept);
};
