import { binaryOp } from './elementwise.ts';

/** The larger of a and b, broadcasting. */
export const maximum = binaryOp('maximum', { commutative: true, stream: 'fixed' }, (a, b) => Math.max(a, b));
