import { unaryOp } from './elementwise.ts';
import { SHARES } from './softmax.ts';

/** 1 / (1 + e^-x). */
export const sigmoid = unaryOp('sigmoid', { attrs: {}, stream: 'fixed', int8: SHARES }, (x) => 1 / (1 + Math.exp(-x)));
