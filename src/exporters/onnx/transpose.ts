import { computedTensor, DTYPES, type Tensor } from '../../ir/tensor.ts';

/** The transpose of a matrix of stored 8-bit or 4-bit integers, computed on demand. */
export function transposedIntegers(tensor: Tensor): Tensor {
  const [rows, columns] = tensor.shape as readonly [number, number];
  const isPacked = DTYPES[tensor.dtype] === 4;
  return computedTensor(tensor.dtype, [columns, rows], () => {
    const source = isPacked ? unpackNibbles(tensor.bytes(), rows * columns) : tensor.bytes();
    const target = new Uint8Array(rows * columns);
    for (let r = 0, i = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) target[c * rows + r] = source[i++] as number;
    }
    return isPacked ? packNibbles(target) : target;
  });
}

/** Unpacks 4-bit values: the low half of a byte comes first, in ONNX as in our tensors; signs are not extended. */
function unpackNibbles(packed: Uint8Array, count: number): Uint8Array {
  const values = new Uint8Array(count);
  for (let i = 0; i < count; i++) values[i] = ((packed[i >> 1] as number) >> ((i & 1) * 4)) & 15;
  return values;
}

/** Packs values of 0 to 15, two a byte. */
export function packNibbles(values: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(values.length / 2));
  for (let i = 0; i < values.length; i++)
    packed[i >> 1] = (packed[i >> 1] as number) | ((values[i] as number) << ((i & 1) * 4));
  return packed;
}
