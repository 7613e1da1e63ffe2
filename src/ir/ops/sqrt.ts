import { unaryOp } from './elementwise.ts';

/** √x. */
export const sqrt = unaryOp('sqrt', { attrs: {}, stream: 'fixed' }, (x) => Math.sqrt(x));
