import { binaryOp } from './elementwise.ts';

/** a / b, broadcasting. */
export const div = binaryOp('div', { commutative: false, stream: 'fixed' }, (a, b) => a / b);
