import { arrayOf, computedTensor, type Tensor, transposeInto } from '../../ir/tensor.ts';

/** Turned tensors and what they were turned from, both ways: turned twice, a weight is itself again. */
const turned = new WeakMap<Tensor, Tensor>();

/** The 2-D transpose in the stored dtype, computed when it is read. */
export function transposedTensor(tensor: Tensor): Tensor {
  const transpose = turned.get(tensor);
  if (transpose) return transpose;
  const [rows, columns] = tensor.shape as readonly [number, number];
  const result = computedTensor(tensor.dtype, [columns, rows], () => {
    const source = arrayOf(tensor);
    const target = new (source.constructor as { new (length: number): typeof source })(source.length);
    transposeInto<number | bigint>(source, target, rows, columns);
    return target;
  });
  turned.set(tensor, result);
  turned.set(result, tensor);
  return result;
}
