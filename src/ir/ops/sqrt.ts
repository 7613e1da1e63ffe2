import { unaryOp } from './elementwise.ts';

export const sqrt = unaryOp('sqrt', {}, (x) => Math.sqrt(x));
