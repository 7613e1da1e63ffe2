import { defineOp } from '../op.ts';
import { readF32, tensorOf } from '../tensor.ts';
import { inferNorm } from './norm.ts';

/** (x - mean) / sqrt(variance + epsilon) ∘ gamma + beta over the last axis. x [..., hidden]. */
export const layerNorm = defineOp({
  inputs: ['x', 'gamma', 'beta'],
  attrs: { epsilon: 1e-12 as number },
  tokens: 'first-input',
  stream: 'fixed',
  cost: { onnx: 35, tflite: 13 },
  infer: inferNorm,
  evaluate({ x, gamma, beta }, { epsilon }) {
    const source = readF32(x);
    const g = readF32(gamma);
    const c = readF32(beta);
    const width = g.length;
    const values = new Float32Array(source.length);
    for (let from = 0; from < source.length; from += width) {
      let mean = 0;
      for (let i = 0; i < width; i++) mean += (source[from + i] as number) / width;
      let variance = 0;
      for (let i = 0; i < width; i++) variance += ((source[from + i] as number) - mean) ** 2 / width;
      const scale = 1 / Math.sqrt(variance + epsilon);
      for (let i = 0; i < width; i++) {
        values[from + i] = ((source[from + i] as number) - mean) * scale * (g[i] as number) + (c[i] as number);
      }
    }
    return tensorOf('f32', x.shape, values);
  },
});
