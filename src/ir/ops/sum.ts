import { reductionOp } from './reduction.ts';

/** The sum along one axis. */
export const sum = reductionOp('sum', { integers: true, first: 0, fold: (total, value) => total + value });
