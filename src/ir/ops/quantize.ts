import { unaryOp } from './elementwise.ts';

/** The same numbers, stored as integers: scale and zero point are in the node's type, which whoever adds it sets. */
export const quantize = unaryOp('quantize', { attrs: {}, stream: 'fixed', int8: 'calibrated' }, (x) => x);
