import { arrayOf, type Tensor } from '../tensor.ts';

/** A tensor of the same dtype whose element i is the source's element `indices[i]`, or zero where that is -1. */
export function pickElements(source: Tensor, shape: readonly number[], indices: Int32Array): Tensor {
  const from = arrayOf(source);
  const to = new (from.constructor as { new (length: number): typeof from })(indices.length);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i] as number;
    if (index >= 0) (to as { [i: number]: unknown })[i] = from[index];
  }
  const bytes = new Uint8Array(to.buffer, to.byteOffset, to.byteLength);
  return { dtype: source.dtype, shape, bytes: () => bytes };
}
