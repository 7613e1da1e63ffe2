import { reductionOp } from './reduction.ts';

/** The mean along one axis. */
export const mean = reductionOp('mean', {
  int8: 'calibrated',
  integers: false,
  first: 0,
  fold: (total, value) => total + value,
  finish: (total, length) => total / length,
});
