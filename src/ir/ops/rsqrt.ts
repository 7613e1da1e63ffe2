import { unaryOp } from './elementwise.ts';

/** 1 / sqrt(x). */
export const rsqrt = unaryOp('rsqrt', { attrs: {}, stream: 'fixed' }, (x) => 1 / Math.sqrt(x));
