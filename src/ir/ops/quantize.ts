import { unaryOp } from './elementwise.ts';

/** Conversion to stored integers. Scale and zero point are in the node's type, which whoever adds the node sets. */
export const quantize = unaryOp('quantize', { attrs: {}, stream: 'fixed', int8: 'calibrated' }, (x) => x);
