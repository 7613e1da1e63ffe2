import { defineOp } from '../op.ts';
import { readF32, tensorOf } from '../tensor.ts';
import { inferNorm } from './norm.ts';

/** gamma∘x + beta per channel: MobileBERT's stand-in for LayerNorm (Sun et al. 2020, section 3.3). x [..., hidden]. */
export const noNorm = defineOp({
  inputs: ['x', 'gamma', 'beta'],
  attrs: {},
  tokens: 'first-input',
  stream: 'affine',
  cost: { onnx: 30, tflite: 6 },
  infer: inferNorm,
  evaluate({ x, gamma, beta }) {
    const source = readF32(x);
    const g = readF32(gamma);
    const c = readF32(beta);
    const values = new Float32Array(source.length);
    for (let i = 0; i < values.length; i++)
      values[i] = (source[i] as number) * (g[i % g.length] as number) + (c[i % g.length] as number);
    return tensorOf('f32', x.shape, values);
  },
});
