import { defineOp, invalid, isFloat } from '../op.ts';
import { product, sameShape, shapeText } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/**
 * Cross-correlation along the sequence, zero padded to the same length, stride 1:
 * y[t] = Σ_k W[:, k] x[t + k - (width - 1) / 2].
 * x [batch, sequence, in], weight [out, width, in] with odd width, bias [out].
 */
export const conv1d = defineOp({
  inputs: ['x', 'weight', 'bias?'],
  attrs: {},
  tokens: 'mixed',
  stream: 'affine',
  int8: 'calibrated',
  terms: ({ weight }) => product(weight.shape.slice(1)),
  infer({ x, weight, bias }) {
    const [out, width, channels] = weight.shape;
    const fits = x.shape.length === 3 && weight.shape.length === 3 && x.shape[2] === channels;
    if (!isFloat(x.dtype) || !isFloat(weight.dtype)) invalid(`conv1d of ${x.dtype} and ${weight.dtype}, takes floats`);
    if (!fits || out === undefined || typeof width !== 'number' || width % 2 !== 1) {
      invalid(`conv1d of ${shapeText(x.shape)} with weight ${shapeText(weight.shape)}`);
    }
    if (bias && !sameShape(bias.shape, [out])) invalid(`conv1d with ${out} outputs and bias ${shapeText(bias.shape)}`);
    return { dtype: 'f32', shape: [...x.shape.slice(0, 2), out] };
  },
  evaluate({ x, weight, bias }) {
    const [batch, sequence, channels] = x.shape as readonly [number, number, number];
    const [out, width] = weight.shape as readonly [number, number, number];
    const source = readF32(x);
    const w = readF32(weight);
    const b = bias && readF32(bias);
    const values = new Float32Array(batch * sequence * out);
    for (let row = 0; row < batch * sequence; row++) {
      const t = row % sequence;
      for (let o = 0; o < out; o++) {
        let sum = b ? (b[o] as number) : 0;
        for (let k = 0; k < width; k++) {
          const offset = k - (width - 1) / 2;
          if (t + offset < 0 || t + offset >= sequence) continue;
          const from = (row + offset) * channels;
          for (let i = 0; i < channels; i++)
            sum += (source[from + i] as number) * (w[(o * width + k) * channels + i] as number);
        }
        values[row * out + o] = sum;
      }
    }
    return tensorOf('f32', [batch, sequence, out], values);
  },
});
