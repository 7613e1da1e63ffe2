import type { Node } from '../../ir/graph.ts';
import { isFloat } from '../../ir/op.ts';
import { isStatic, sizeOf } from '../../ir/shape.ts';
import {
  convertTensor,
  type DType,
  integerTensor,
  type Quant,
  readIntegers,
  type Tensor,
  tensorOf,
} from '../../ir/tensor.ts';
import {
  addSizes,
  constantSize,
  dimOf,
  multiplySizes,
  numberOf,
  type Size,
  sameSize,
  sizeOfDim,
  subtractSizes,
  ZERO,
} from './sizes.ts';

/**
 * An ONNX value, as far as it is known while its graph is read. Only the first two reach the graph: shape arithmetic
 * and index grids are worked out here, so that a reshape ends up with a shape and a mask without an index grid.
 */
export type Value =
  | NodeValue
  | TensorValue
  | ListValue
  | IndexValue
  | TupleValue
  | CutValue
  | PaddedValue
  | DynamicValue;

/** A value of the run. `shape` may be larger than the node's own, which then stands for its repetition. */
export interface NodeValue {
  readonly kind: 'node';
  readonly node: Node;
  readonly shape: readonly Size[];
}

export interface TensorValue {
  readonly kind: 'tensor';
  readonly tensor: Tensor;
  readonly name: string;
  /** Quantization of a tensor of stored integers. */
  readonly quant?: Quant;
}

/** Whole numbers, a few: shapes, axes, starts. */
export interface ListValue {
  readonly kind: 'list';
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly elements: readonly Size[];
}

/** Numbers offset + Σ strides[k] · (index along axis k): position ids, index grids, tensors filled with one number. */
export interface IndexValue {
  readonly kind: 'index';
  readonly dtype: DType;
  readonly shape: readonly Size[];
  readonly offset: Size;
  readonly strides: readonly Size[];
}

/** Index grids side by side along a last axis, as GatherND takes them; `parts` have a shape without that axis. */
export interface TupleValue {
  readonly kind: 'tuple';
  readonly parts: readonly IndexValue[];
}

/** Tensor x without its first `start` and last `stop` elements along an axis of unknown size. */
interface CutValue {
  readonly kind: 'cut';
  readonly x: NodeValue;
  readonly axis: number;
  readonly start: number;
  readonly stop: number;
}

/** Tensor x with zeros in front and behind along an axis of unknown size. */
interface PaddedValue {
  readonly kind: 'padded';
  readonly x: NodeValue;
  readonly axis: number;
  readonly before: number;
  readonly after: number;
}

/** Outputs of DynamicQuantizeLinear, and the steps of an integer product of them with each other or a constant weight. */
type DynamicValue =
  | { readonly kind: 'dynamic'; readonly part: 'values' | 'scale' | 'zero point'; readonly x: Value }
  | {
      readonly kind: 'integer product';
      readonly x: Value;
      readonly factor:
        | { readonly x: Value }
        | { readonly weight: TensorValue; readonly zeroPoint: TensorValue | undefined };
    }
  | { readonly kind: 'scale product'; readonly of: readonly [Value, Value] };

/** Longest list that may be a shape; longer ones are data. */
export const MAX_LIST = 4096;

/** Longest constant that is looked at for a pattern: position tables have some thousand entries. */
const MAX_INDEX = 1 << 16;

export function isInteger(dtype: DType): boolean {
  return dtype === 'bool' || /^[iu]/.test(dtype);
}

export function nodeValue(node: Node, shape: readonly Size[] = node.type.shape.map(sizeOfDim)): NodeValue {
  return { kind: 'node', node, shape };
}

/** A value as the whole numbers that it is known to hold, or null. */
export function asList(value: Value): ListValue | null {
  if (value.kind === 'list') return value;
  if (value.kind === 'tensor') {
    const { dtype, shape } = value.tensor;
    if (!isInteger(dtype) || value.quant || sizeOf(shape) > MAX_LIST) return null;
    return { kind: 'list', dtype, shape, elements: readIntegers(value.tensor).map(constantSize) };
  }
  return value.kind === 'index' ? listOfIndex(value) : null;
}

function listOfIndex({ dtype, shape, offset, strides }: IndexValue): ListValue | null {
  const sizes = shape.map(numberOf);
  if (sizes.some((size) => size === null)) return null;
  const numbers = sizes as number[];
  if (sizeOf(numbers) > MAX_LIST) return null;
  const elements: Size[] = [];
  for (let i = 0; i < sizeOf(numbers); i++) {
    let rest = i;
    let element: Size | null = offset;
    for (let axis = numbers.length - 1; axis >= 0; axis--) {
      const step = multiplySizes(strides[axis] as Size, constantSize(rest % (numbers[axis] as number)));
      element = step && element && addSizes(element, step);
      rest = Math.floor(rest / (numbers[axis] as number));
    }
    if (element === null) return null;
    elements.push(element);
  }
  return { kind: 'list', dtype, shape: numbers, elements };
}

/** A value as an index grid, where its numbers lie so; or null. */
export function asIndex(value: Value): IndexValue | null {
  if (value.kind === 'index') return value;
  if (value.kind === 'tensor') {
    const { dtype, shape } = value.tensor;
    if (!isInteger(dtype) || value.quant || sizeOf(shape) > MAX_INDEX) return null;
    const known = TENSOR_GRIDS.get(value.tensor);
    if (known !== undefined) return known;
    const grid = indexOfNumbers(dtype, shape, readIntegers(value.tensor));
    TENSOR_GRIDS.set(value.tensor, grid);
    return grid;
  }
  return value.kind === 'list' ? indexOfList(value.dtype, value.shape, value.elements) : null;
}

/** Grids of constants, each of which many nodes may read. */
const TENSOR_GRIDS = new WeakMap<Tensor, IndexValue | null>();

function indexOfNumbers(dtype: DType, shape: readonly number[], numbers: readonly number[]): IndexValue | null {
  const [first] = numbers;
  if (first === undefined) return null;
  const steps = stepsOf(shape);
  const strides = shape.map((size, axis) => (size > 1 ? (numbers[steps[axis] as number] as number) - first : 0));
  for (const [i, number] of numbers.entries()) {
    let expected = first;
    for (let axis = 0; axis < shape.length; axis++)
      expected += (strides[axis] as number) * (Math.floor(i / (steps[axis] as number)) % (shape[axis] as number));
    if (number !== expected) return null;
  }
  return {
    kind: 'index',
    dtype,
    shape: shape.map(constantSize),
    offset: constantSize(first),
    strides: strides.map(constantSize),
  };
}

/** Elements from one index to the next along each axis. */
function stepsOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

function indexOfList(dtype: DType, shape: readonly number[], elements: readonly Size[]): IndexValue | null {
  const [offset] = elements;
  if (offset === undefined || elements.length > MAX_LIST) return null;
  const steps = stepsOf(shape);
  const strides = shape.map((size, axis) =>
    size > 1 ? subtractSizes(elements[steps[axis] as number] as Size, offset) : ZERO,
  );
  const index: IndexValue = { kind: 'index', dtype, shape: shape.map(constantSize), offset, strides };
  const again = listOfIndex(index);
  return again?.elements.every((element, i) => sameSize(element, elements[i] as Size)) ? index : null;
}

/** The number that a grid has everywhere, or null. */
export function uniformOf(index: IndexValue): number | null {
  return isUniform(index) ? numberOf(index.offset) : null;
}

/** True for a grid with one size everywhere, which may be a symbol. */
export function isUniform(index: IndexValue): boolean {
  return index.strides.every((stride) => stride.size === 0);
}

/** A list whose elements are plain numbers, as a tensor; null where symbols are among them. */
export function tensorOfList({ dtype, shape, elements }: ListValue): Tensor | null {
  const numbers = elements.map(numberOf);
  if (numbers.some((number) => number === null)) return null;
  if (dtype === 'i64' || dtype === 'i32') return integerTensor(dtype, numbers as number[], shape);
  return convertTensor(tensorOf('f64', shape, Float64Array.from(numbers as number[])), isFloat(dtype) ? 'f32' : dtype);
}

export function listOf(
  elements: readonly Size[],
  dtype: DType = 'i64',
  shape: readonly number[] = [elements.length],
): ListValue {
  return { kind: 'list', dtype, shape, elements };
}

export function dtypeOf(value: Value): DType {
  switch (value.kind) {
    case 'node':
      return value.node.type.quant ? 'f32' : value.node.type.dtype;
    case 'tensor':
      return value.quant ? 'f32' : value.tensor.dtype;
    case 'list':
    case 'index':
      return value.dtype;
    case 'tuple':
      return 'i64';
    case 'cut':
    case 'padded':
      return dtypeOf(value.x);
    default:
      return 'f32';
  }
}

/** Shape of a value, null where not even the rank is known. */
export function shapeOf(value: Value): readonly Size[] | null {
  switch (value.kind) {
    case 'node':
      return value.node.type.shape[0] === '?' ? null : value.shape;
    case 'tensor':
      return value.tensor.shape.map(constantSize);
    case 'list':
      return value.shape.map(constantSize);
    case 'index':
      return value.shape;
    case 'tuple':
      return [...(value.parts[0]?.shape ?? []), constantSize(value.parts.length)];
    case 'cut':
      return resized(value.x.shape, value.axis, -value.start - value.stop);
    case 'padded':
      return resized(value.x.shape, value.axis, value.before + value.after);
    default:
      return value.kind === 'dynamic' && value.part === 'values' ? shapeOf(value.x) : null;
  }
}

function resized(shape: readonly Size[], axis: number, by: number): readonly Size[] {
  return shape.with(axis, addSizes(shape[axis] as Size, constantSize(by)));
}

/** A shape as dimensions, where every size is a number or a product. */
export function dimsOf(shape: readonly Size[]): readonly (number | string)[] | null {
  const dims = shape.map(dimOf);
  return dims.some((dim) => dim === null) ? null : (dims as (number | string)[]);
}

/** A shape as numbers, where every size is one. */
export function staticOf(shape: readonly Size[]): readonly number[] | null {
  const dims = dimsOf(shape);
  return dims && isStatic(dims) ? dims : null;
}
