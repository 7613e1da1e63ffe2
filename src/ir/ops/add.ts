import { binaryOp } from './elementwise.ts';

/** a + b, broadcasting. */
export const add = binaryOp('add', true, (a, b) => a + b);
