import { binaryOp } from './elementwise.ts';

/** a + b, broadcasting. */
export const add = binaryOp('add', { commutative: true, stream: 'sum', int8: 'calibrated' }, (a, b) => a + b);
