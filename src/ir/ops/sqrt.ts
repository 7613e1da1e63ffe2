import { unaryOp } from './elementwise.ts';

export const sqrt = unaryOp('sqrt', { attrs: {}, stream: 'fixed' }, (x) => Math.sqrt(x));
