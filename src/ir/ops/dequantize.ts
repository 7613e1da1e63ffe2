import { unaryOp } from './elementwise.ts';

/** The same numbers, stored as f32 again. */
export const dequantize = unaryOp('dequantize', { attrs: {}, stream: 'fixed' }, (x) => x);
