import { defineOp } from '../op.ts';
import type { DType } from '../tensor.ts';
import { UNKNOWN_SHAPE } from './foreign.ts';

/** One result of a foreign op that has several. */
export const pick = defineOp({
  inputs: ['x'],
  attrs: { index: 0 as number, outputDtype: 'f32' as DType, outputShape: UNKNOWN_SHAPE },
  tokens: 'mixed',
  stream: 'fixed',
  infer: (_, { outputDtype, outputShape }) => ({ dtype: outputDtype, shape: outputShape }),
});
