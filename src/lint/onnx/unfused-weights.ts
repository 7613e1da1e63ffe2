import type { Rule } from '../rule.ts';
import { type PredictedOnnx, unfused } from './kernels.ts';

export const unfusedWeights: Rule<PredictedOnnx> = {
  name: 'unfused-weights',
  summary:
    "an integer product's weight is 8 bits with zero points, written out also where they are 0: else DequantizeLinear runs at each call",
  check: (model) => unfused(model, 'weight'),
};
