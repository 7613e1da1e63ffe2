import { unaryOp } from './elementwise.ts';

/** The least whole number that is not below x. */
export const ceil = unaryOp('ceil', { attrs: {}, stream: 'fixed' }, Math.ceil);
