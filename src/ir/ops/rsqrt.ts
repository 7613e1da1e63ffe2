import { unaryOp } from './elementwise.ts';

/** 1 / sqrt(x). */
export const rsqrt = unaryOp('rsqrt', {}, (x) => 1 / Math.sqrt(x));
