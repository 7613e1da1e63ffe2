import { unaryOp } from './elementwise.ts';

/** 1 / (1 + e^-x); the int8 output's scale is fixed by the TFLite int8 specification. */
export const sigmoid = unaryOp('sigmoid', {}, (x) => 1 / (1 + Math.exp(-x)), {
  output: { scale: 1 / 256, zeroPoint: -128 },
});
