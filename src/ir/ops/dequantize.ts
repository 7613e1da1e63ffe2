import { unaryOp } from './elementwise.ts';

/** Conversion of stored integers to f32: the real numbers stay the same. */
export const dequantize = unaryOp('dequantize', { attrs: {}, stream: 'fixed' }, (x) => x);
