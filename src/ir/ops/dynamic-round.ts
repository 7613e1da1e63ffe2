import { defineOp, invalid, isFloat } from '../op.ts';
import { roundToEven } from '../quantized.ts';
import { readF32, tensorOf } from '../tensor.ts';

const STEPS = 255;

/**
 * x rounded to the 256 steps between its own smallest and largest value, zero included, over the whole tensor: ONNX's
 * DynamicQuantizeLinear and back (onnx.ai/onnx/operators, DynamicQuantizeLinear-11).
 */
export const dynamicRound = defineOp({
  inputs: ['x'],
  attrs: {},
  tokens: 'mixed',
  stream: 'fixed',
  infer({ x }) {
    if (!isFloat(x.dtype)) invalid(`dynamicRound of ${x.dtype}, takes floats`);
    return { dtype: 'f32', shape: x.shape };
  },
  evaluate({ x }) {
    const source = readF32(x);
    let least = 0;
    let most = 0;
    for (let i = 0; i < source.length; i++) {
      const value = source[i] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    const scale = Math.fround((most - least) / STEPS) || 1;
    const zeroPoint = Math.min(STEPS, Math.max(0, roundToEven(Math.fround(-least / scale))));
    const values = new Float32Array(source.length);
    for (let i = 0; i < values.length; i++) {
      const step = roundToEven(Math.fround((source[i] as number) / scale)) + zeroPoint;
      values[i] = (Math.min(STEPS, Math.max(0, step)) - zeroPoint) * scale;
    }
    return tensorOf('f32', x.shape, values);
  },
});
