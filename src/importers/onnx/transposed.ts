import { arrayOf, computedTensor, type Tensor } from '../../ir/tensor.ts';

/** Turned tensors and what they were turned from, both ways: turned twice, a weight is itself again. */
const turned = new WeakMap<Tensor, Tensor>();

/** The 2-D transpose in the stored dtype, computed when it is read. */
export function transposedTensor(tensor: Tensor): Tensor {
  const known = turned.get(tensor);
  if (known) return known;
  const [rows, columns] = tensor.shape as readonly [number, number];
  const result = computedTensor(tensor.dtype, [columns, rows], () => {
    const source = arrayOf(tensor);
    const target = new (source.constructor as { new (length: number): typeof source })(source.length);
    turn(source as Uint8Array, target as Uint8Array, rows, columns);
    return target;
  });
  turned.set(tensor, result);
  turned.set(result, tensor);
  return result;
}

/** Blocks keep both sides in the cache: a plain double loop is four times slower on a 512x512 matrix. */
const BLOCK = 32;

function turn(source: Uint8Array, target: Uint8Array, rows: number, columns: number): void {
  for (let r0 = 0; r0 < rows; r0 += BLOCK) {
    for (let c0 = 0; c0 < columns; c0 += BLOCK) {
      const r1 = Math.min(r0 + BLOCK, rows);
      const c1 = Math.min(c0 + BLOCK, columns);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) target[c * rows + r] = source[r * columns + c] as number;
      }
    }
  }
}
