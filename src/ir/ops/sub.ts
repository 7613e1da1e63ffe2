import { binaryOp } from './elementwise.ts';

/** a - b, broadcasting. */
export const sub = binaryOp('sub', false, (a, b) => a - b);
