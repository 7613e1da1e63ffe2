import { elementsOf, tensorOfElements, zerosLike } from '../elements.ts';
import type { Tensor } from '../tensor.ts';

/** A tensor of the same dtype whose element i is the source's element `indices[i]`, or zero where that is -1. */
export function pickElements(source: Tensor, shape: readonly number[], indices: Int32Array): Tensor {
  const from = elementsOf(source);
  const to = zerosLike(from, indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    if (index >= 0) (to as { [i: number]: unknown })[i] = from[index];
  }
  return tensorOfElements(source.dtype, shape, to);
}
