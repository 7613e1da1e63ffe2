import { defineOp, invalid, isFloat } from '../op.ts';
import { type Dim, sameShape, shapeText, sizeOf } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/** activation(x Wᵀ + b) on the last axis: x [..., in], weight [out, in], bias [out]; activation `none` or `relu`. */
export const linear = defineOp({
  inputs: ['x', 'weight', 'bias?'],
  attrs: { activation: 'none' as 'none' | 'relu' },
  tokens: 'first-input',
  stream: 'affine',
  int8: 'calibrated',
  terms: ({ weight }) => weight.shape[1] as Dim,
  infer({ x, weight, bias }) {
    const [out, width] = weight.shape;
    if (!isFloat(x.dtype) || !isFloat(weight.dtype)) invalid(`linear of ${x.dtype} and ${weight.dtype}, takes floats`);
    if (weight.shape.length !== 2 || x.shape.length === 0 || x.shape.at(-1) !== width || out === undefined) {
      invalid(`linear of ${shapeText(x.shape)} with weight ${shapeText(weight.shape)}`);
    }
    if (bias && !sameShape(bias.shape, [out])) invalid(`linear with ${out} outputs and bias ${shapeText(bias.shape)}`);
    return { dtype: 'f32', shape: [...x.shape.slice(0, -1), out] };
  },
  evaluate({ x, weight, bias }, { activation }) {
    const [out, width] = weight.shape as readonly [number, number];
    const source = readF32(x);
    const w = readF32(weight);
    const b = bias && readF32(bias);
    const rows = sizeOf(x.shape) / width;
    const values = new Float32Array(rows * out);
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < out; o++) {
        let sum = b ? (b[o] as number) : 0;
        for (let i = 0; i < width; i++) sum += (source[row * width + i] as number) * (w[o * width + i] as number);
        values[row * out + o] = activation === 'relu' && sum < 0 ? 0 : sum;
      }
    }
    return tensorOf('f32', [...x.shape.slice(0, -1), out], values);
  },
});
