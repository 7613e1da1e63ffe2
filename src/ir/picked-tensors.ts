import { sizeOf } from './shape.ts';
import { byteLength, type Tensor } from './tensor.ts';

/** Some rows of a tensor. */
export interface PickedRows extends Tensor {
  /** Their numbers in that tensor. */
  readonly rows: readonly number[];
}

/** Whether a tensor is some rows of another one. */
export function isPickedRows(tensor: Tensor): tensor is PickedRows {
  return 'rows' in tensor;
}

/** Picks rows (first axis) of a tensor by their numbers, in the tensor's own storage. */
export function pickStoredRows(tensor: Tensor, rows: readonly number[]): PickedRows {
  const { dtype } = tensor;
  const inner = tensor.shape.slice(1);
  const size = byteLength(dtype, inner);
  return {
    dtype,
    shape: [rows.length, ...inner],
    rows,
    fresh: true,
    bytes() {
      const bytes = tensor.bytes();
      const picked = new Uint8Array(rows.length * size);
      for (const [i, row] of rows.entries()) picked.set(bytes.subarray(row * size, (row + 1) * size), i * size);
      return picked;
    },
  };
}

/** Picks columns of a matrix by their numbers, in its own storage. */
export function pickStoredColumns(tensor: Tensor, columns: readonly number[]): Tensor {
  const [rows, width] = tensor.shape as readonly [number, number];
  return {
    dtype: tensor.dtype,
    shape: [rows, columns.length],
    fresh: true,
    bytes() {
      const bytes = tensor.bytes();
      const size = bytes.byteLength / sizeOf(tensor.shape);
      const picked = new Uint8Array(rows * columns.length * size);
      let at = 0;
      for (let row = 0; row < rows; row++) {
        for (const column of columns) {
          const from = (row * width + column) * size;
          picked.set(bytes.subarray(from, from + size), at);
          at += size;
        }
      }
      return picked;
    },
  };
}
