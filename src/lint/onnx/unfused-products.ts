import type { Rule } from '../rule.ts';
import { type PredictedOnnx, unfused } from './kernels.ts';

export const unfusedProducts: Rule<PredictedOnnx> = {
  name: 'unfused-products',
  summary:
    'products have the form that becomes one kernel: Gemm with alpha and beta 1, MatMulInteger with its own Cast and Mul',
  check: (model) => unfused(model, 'product'),
};
