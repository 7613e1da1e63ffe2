import { unaryOp } from './elementwise.ts';

/** The natural logarithm. */
export const log = unaryOp('log', { attrs: {}, stream: 'fixed' }, Math.log);
