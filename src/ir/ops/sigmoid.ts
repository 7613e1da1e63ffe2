import { unaryOp } from './elementwise.ts';
import { UNIT_INTERVAL } from './softmax.ts';

/** 1 / (1 + e^-x). */
export const sigmoid = unaryOp(
  'sigmoid',
  { attrs: {}, stream: 'fixed', int8: UNIT_INTERVAL },
  (x) => 1 / (1 + Math.exp(-x)),
);
