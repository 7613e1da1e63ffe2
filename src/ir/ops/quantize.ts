import { unaryOp } from './elementwise.ts';

/** The same numbers, stored as integers: scale and zero point are in the node's type, which whoever adds it sets. */
export const quantize = unaryOp('quantize', {}, (x) => x, { output: 'calibrated' });
