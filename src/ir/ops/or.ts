import { booleanOp } from './logical.ts';

/** One or both are true. a and b are bool. */
export const or = booleanOp('or', { attrs: {}, commutative: true }, (a, b) => a !== 0 || b !== 0);
