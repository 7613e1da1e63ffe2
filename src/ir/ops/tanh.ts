import { unaryOp } from './elementwise.ts';

/** The int8 output's scale is fixed by the TFLite int8 specification. */
export const tanh = unaryOp('tanh', {}, (x) => Math.tanh(x), { output: { scale: 1 / 128, zeroPoint: 0 } });
