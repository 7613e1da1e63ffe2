import { binaryOp } from './elementwise.ts';

/** a * b, broadcasting. */
export const mul = binaryOp('mul', true, (a, b) => a * b);
