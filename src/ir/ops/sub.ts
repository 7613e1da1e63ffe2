import { binaryOp } from './elementwise.ts';

/** a - b, broadcasting. */
export const sub = binaryOp('sub', { commutative: false, stream: 'fixed', int8: 'calibrated' }, (a, b) => a - b);
