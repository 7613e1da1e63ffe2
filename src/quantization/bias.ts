import { dequantized } from '../ir/quantized.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import type { QuantizedWeight } from './weights.ts';

/**
 * Computes the bias b + (W - Ŵ) E[x] for a weight [out, in]: what rounding the weight adds to the mean of each output
 * is taken out again. A linear without a bias gets one; integer kernels have room for it, and others add a vector.
 */
export function correctedBias(
  weight: Tensor,
  { tensor, quant }: QuantizedWeight,
  bias: Tensor | undefined,
  mean: Float64Array,
): Tensor {
  const real = readF32(weight);
  const stored = readF32(dequantized(tensor, quant));
  const width = mean.length;
  const corrected = new Float32Array(real.length / width);
  const original = bias && readF32(bias);
  for (let row = 0; row < corrected.length; row++) {
    let sum = original?.[row] ?? 0;
    for (let i = 0, at = row * width; i < width; i++, at++) {
      sum += ((real[at] as number) - (stored[at] as number)) * (mean[i] as number);
    }
    corrected[row] = sum;
  }
  return tensorOf('f32', [corrected.length], corrected);
}
