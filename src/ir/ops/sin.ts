import { unaryOp } from './elementwise.ts';

/** The sine of x radians. */
export const sin = unaryOp('sin', { attrs: {}, stream: 'fixed' }, Math.sin);
