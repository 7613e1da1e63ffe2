import type { Rule } from '../rule.ts';
import { type PredictedOnnx, unfused } from './kernels.ts';

export const blockedOutputs: Rule<PredictedOnnx> = {
  name: 'blocked-outputs',
  summary:
    'behind an integer product comes a QuantizeLinear alone, Relu with zero point at the least value, or floats: else it runs in floats',
  check: (model) => unfused(model, 'output'),
};
