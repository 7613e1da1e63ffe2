import { unaryOp } from './elementwise.ts';

/** max(x, 0). */
export const relu = unaryOp('relu', {}, (x) => (x > 0 ? x : 0), { output: 'calibrated' });
