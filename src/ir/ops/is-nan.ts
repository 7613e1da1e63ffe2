import { defineOp, invalid, isFloat } from '../op.ts';
import { readF32, tensorOf } from '../tensor.ts';

/** True where x is not a number: the guard around a softmax whose whole row may be masked. */
export const isNan = defineOp({
  inputs: ['x'],
  attrs: {},
  tokens: 'elementwise',
  stream: 'fixed',
  infer({ x }) {
    if (!isFloat(x.dtype)) invalid(`isNan of ${x.dtype}, takes floats`);
    return { dtype: 'bool', shape: x.shape };
  },
  evaluate: ({ x }) =>
    tensorOf(
      'bool',
      x.shape,
      Uint8Array.from(readF32(x), (value) => (Number.isNaN(value) ? 1 : 0)),
    ),
});
