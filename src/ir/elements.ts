import { arrayOf, computedTensor, DTYPES, type DType, type Tensor, transposeInto } from './tensor.ts';

/** Array with one entry for each element, whatever it means: halves as bits, two integers of 4 bits out of one byte. */
type Elements = ReturnType<typeof arrayOf>;

/** The elements of a tensor as they are stored; signs of 4-bit integers are not extended. */
export function elementsOf(tensor: Tensor): Elements {
  const stored = arrayOf(tensor);
  return DTYPES[tensor.dtype] === 4 ? unpackNibbles(stored as Uint8Array, tensor.shape) : stored;
}

/** A tensor of elements as `elementsOf` gives them. */
export function tensorOfElements(dtype: DType, shape: readonly number[], elements: Elements): Tensor {
  const stored = DTYPES[dtype] === 4 ? packNibbles(elements as Uint8Array) : elements;
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  return { dtype, shape, bytes: () => bytes };
}

/** An array of zeros of the same kind. */
export function zerosLike(elements: Elements, length: number): Elements {
  return new (elements.constructor as { new (length: number): Elements })(length);
}

/** The 2-D transpose in the stored dtype, computed on demand. */
export function transposedElements(tensor: Tensor): Tensor {
  const { dtype } = tensor;
  const [rows, columns] = tensor.shape as readonly [number, number];
  return computedTensor(dtype, [columns, rows], () => {
    const source = elementsOf(tensor);
    const target = zerosLike(source, source.length);
    transposeInto<number | bigint>(source, target, rows, columns);
    return DTYPES[dtype] === 4 ? packNibbles(target as Uint8Array) : target;
  });
}

function unpackNibbles(packed: Uint8Array, shape: readonly number[]) {
  const values = new Uint8Array(shape.reduce((size, dim) => size * dim, 1));
  for (let i = 0; i < values.length; i++) values[i] = ((packed[i >> 1] as number) >> ((i & 1) * 4)) & 15;
  return values;
}

/** Packs values of 0 to 15, two a byte; the low half comes first, in ONNX as in TFLite and here. */
export function packNibbles(values: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++)
    packed[i >> 1] = (packed[i >> 1] as number) | ((values[i] as number) << ((i & 1) * 4));
  return packed;
}
