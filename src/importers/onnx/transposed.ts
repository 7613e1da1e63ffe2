import { transposedElements } from '../../ir/elements.ts';
import type { Tensor } from '../../ir/tensor.ts';

/** Turned tensors and what they were turned from, both ways: turned twice, a weight is itself again. */
const turned = new WeakMap<Tensor, Tensor>();

/** The 2-D transpose in the stored dtype, computed when it is read. */
export function transposedTensor(tensor: Tensor): Tensor {
  const transpose = turned.get(tensor);
  if (transpose) return transpose;
  const result = transposedElements(tensor);
  turned.set(tensor, result);
  turned.set(result, tensor);
  return result;
}
