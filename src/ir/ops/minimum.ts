import { binaryOp } from './elementwise.ts';

/** The smaller of a and b, broadcasting. */
export const minimum = binaryOp('minimum', { commutative: true, stream: 'fixed' }, (a, b) => Math.min(a, b));
