import { unaryOp } from './elementwise.ts';

/** The cosine of x radians. */
export const cos = unaryOp('cos', { attrs: {}, stream: 'fixed' }, Math.cos);
