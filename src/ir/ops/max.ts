import { reductionOp } from './reduction.ts';

/** The largest number along one axis. */
export const max = reductionOp('max', { integers: true, first: Number.NEGATIVE_INFINITY, fold: Math.max });
