import { computedType, defineOp } from '../op.ts';
import type { DType } from '../tensor.ts';
import { numbersOf, resultTensor } from './elementwise.ts';

/** Conversion of numbers to another type; floats are truncated to integers. */
export const cast = defineOp({
  inputs: ['x'],
  attrs: { to: 'f32' as DType },
  tokens: 'elementwise',
  stream: 'fixed',
  infer: ({ x }, { to }) => ({ dtype: computedType(to), shape: x.shape }),
  evaluate: ({ x }, { to }) => resultTensor(computedType(to), x.shape, Float64Array.from(numbersOf(x))),
});
