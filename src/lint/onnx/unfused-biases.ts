import type { Rule } from '../rule.ts';
import { type PredictedOnnx, unfused } from './kernels.ts';

export const unfusedBiases: Rule<PredictedOnnx> = {
  name: 'unfused-biases',
  summary:
    'the bias of a quantized Gemm is i32 behind a DequantizeLinear: an f32 bias keeps ONNX Runtime 1.20 and newer from making a QGemm',
  check: (model) => unfused(model, 'bias'),
};
