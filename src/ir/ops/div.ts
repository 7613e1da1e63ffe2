import { binaryOp } from './elementwise.ts';

/** a / b, broadcasting. */
export const div = binaryOp('div', false, (a, b) => a / b);
