import { booleanOp } from './logical.ts';

/** Both are true. a and b are bool. */
export const and = booleanOp('and', { attrs: {}, commutative: true }, (a, b) => a !== 0 && b !== 0);
