import { defineOp, type Int8Rule, invalid, isFloat } from '../op.ts';
import { aroundAxis, axisOf, shapeText } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/**
 * Storage of values between 0 and 1: 256 steps from the smallest integer on; i16 is symmetric and uses half of its
 * range.
 */
export const UNIT_INTERVAL = {
  i8: { scale: 1 / 256, zeroPoint: -128 },
  i16: { scale: 1 / 32768, zeroPoint: 0 },
} as const satisfies Int8Rule;

/** e^x / Σ e^x along an axis. */
export const softmax = defineOp({
  inputs: ['x'],
  attrs: { axis: -1 as number },
  tokens: 'along-axis',
  stream: 'fixed',
  int8: UNIT_INTERVAL,
  cost: { onnx: 25, tflite: 13 },
  infer({ x }, { axis }) {
    if (!isFloat(x.dtype) || axisOf(axis, x.shape.length) === null)
      invalid(`softmax of axis ${axis} of ${x.dtype}${shapeText(x.shape)}`);
    return { dtype: 'f32', shape: x.shape };
  },
  evaluate({ x }, { axis }) {
    const { outer, length, inner } = aroundAxis(x.shape, axisOf(axis, x.shape.length) as number);
    const source = readF32(x);
    const values = new Float32Array(source.length);
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        const from = o * length * inner + k;
        let max = Number.NEGATIVE_INFINITY;
        for (let i = 0; i < length; i++) max = Math.max(max, source[from + i * inner] as number);
        let sum = 0;
        for (let i = 0; i < length; i++) sum += Math.exp((source[from + i * inner] as number) - max);
        for (let i = 0; i < length; i++)
          values[from + i * inner] = Math.exp((source[from + i * inner] as number) - max) / sum;
      }
    }
    return tensorOf('f32', x.shape, values);
  },
});
