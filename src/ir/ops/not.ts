import { defineOp, invalid } from '../op.ts';
import { tensorOf } from '../tensor.ts';

/** True where x is false. x is bool. */
export const not = defineOp({
  inputs: ['x'],
  attrs: {},
  tokens: 'elementwise',
  stream: 'fixed',
  infer({ x }) {
    if (x.dtype !== 'bool') invalid(`not of ${x.dtype}, takes bool`);
    return { dtype: 'bool', shape: x.shape };
  },
  evaluate: ({ x }) =>
    tensorOf(
      'bool',
      x.shape,
      x.bytes().map((value) => (value === 0 ? 1 : 0)),
    ),
});
