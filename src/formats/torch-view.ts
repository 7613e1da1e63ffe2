import { shapeText, sizeOf } from '../ir/shape.ts';
import { computedTensor, DTYPES, type DType, type Tensor } from '../ir/tensor.ts';

/** A run of elements that tensors share. */
export interface TorchStorage {
  readonly kind: 'storage';
  readonly dtype: DType;
  readonly key: string;
  /** First element, counted in elements of the dtype: old files can name a part of a storage. */
  readonly start: number;
  readonly length: number;
  /** Number of elements of the whole storage. */
  readonly wholeLength: number;
}

/** A tensor as torch keeps it: strides over a storage, both counted in elements. */
export interface TorchView {
  readonly kind: 'tensor';
  readonly dtype: DType;
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Reads bytes of one storage. */
export type ReadStorage = (offset: number, length: number) => Uint8Array;

export function storageBytes(storage: TorchStorage): number {
  return storage.wholeLength * widthOf(storage.dtype);
}

/** Reason why a view is impossible, undefined if there is none. */
export function viewProblem({ dtype, storage, offset, shape, strides }: TorchView): string | undefined {
  if (shape.length !== strides.length) return `has ${shape.length} dimensions and ${strides.length} strides`;
  const count = sizeOf(shape);
  if (!Number.isSafeInteger(count)) return `element count of shape ${shapeText(shape)} overflows`;
  const length = (storage.length * widthOf(storage.dtype)) / widthOf(dtype);
  // Strides of 0 could make a file of some bytes a tensor of gigabytes.
  if (count > length) return `has ${count} elements, its storage ${length}`;
  if (count > 0 && offset + reach(shape, strides) >= length)
    return `reaches past the ${length} elements of its storage`;
  return undefined;
}

/** Distance of the last element from the first. */
function reach(shape: readonly number[], strides: readonly number[]): number {
  return shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] as number), 0);
}

/** Elements of a view in row-major order, read from the storage when asked. */
export function viewTensor(view: TorchView, read: ReadStorage): Tensor {
  const { dtype, storage, offset, shape, strides } = view;
  const width = widthOf(dtype);
  const start = storage.start * widthOf(storage.dtype) + offset * width;
  const count = sizeOf(shape);
  if (isContiguous(shape, strides)) {
    return { dtype, shape, fresh: true, bytes: () => read(start, count * width) };
  }
  const span = (reach(shape, strides) + 1) * width;
  return computedTensor(dtype, shape, () => {
    const bytes = read(start, span);
    const Words = WORDS[width as keyof typeof WORDS];
    const source = new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / width);
    const target = new Words(count);
    gather(source, target, shape, strides);
    return target;
  });
}

function widthOf(dtype: DType): number {
  return DTYPES[dtype] / 8;
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    // The stride of an axis of one element is never used; without elements none is.
    if (size === 0) return true;
    if (size > 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** Words by width in bytes, as which elements are moved, whatever they mean. */
const WORDS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const;
type Words = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** Copies target[i] = source[the strides' index of i], a row of the last axis at a time. */
function gather(source: Words, target: Words, shape: readonly number[], strides: readonly number[]): void {
  const last = shape.length - 1;
  const rowLength = shape[last] as number;
  const rowStride = strides[last] as number;
  const position = new Array<number>(last).fill(0);
  let rowStart = 0;
  for (let at = 0; at < target.length; at += rowLength) {
    for (let i = 0; i < rowLength; i++) target[at + i] = source[rowStart + i * rowStride] as never;
    for (let axis = last - 1; axis >= 0; axis--) {
      rowStart += strides[axis] as number;
      position[axis] = (position[axis] as number) + 1;
      if ((position[axis] as number) < (shape[axis] as number)) break;
      rowStart -= (shape[axis] as number) * (strides[axis] as number);
      position[axis] = 0;
    }
  }
}
