import { booleanOp } from './logical.ts';

/** Logical and, broadcasting. a and b are bool. */
export const and = booleanOp('and', { attrs: {}, commutative: true }, (a, b) => a !== 0 && b !== 0);
