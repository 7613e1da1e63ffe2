import type { Rule } from '../rule.ts';
import { type PredictedOnnx, unfused } from './kernels.ts';

export const unfusedInputs: Rule<PredictedOnnx> = {
  name: 'unfused-inputs',
  summary:
    'what an integer product reads is quantized per tensor, to 8 bits, with its zero point: else it runs in floats behind DequantizeLinears',
  check: (model) => unfused(model, 'input'),
};
