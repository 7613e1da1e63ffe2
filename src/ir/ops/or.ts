import { booleanOp } from './logical.ts';

/** Logical or, broadcasting. a and b are bool. */
export const or = booleanOp('or', { attrs: {}, commutative: true }, (a, b) => a !== 0 || b !== 0);
