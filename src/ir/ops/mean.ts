import { defineOp, invalid, isFloat } from '../op.ts';
import { aroundAxis, axisOf, shapeText } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/** The mean along one axis, which stays with size 1 where `keepDims`. */
export const mean = defineOp({
  inputs: ['x'],
  attrs: { axis: -1 as number, keepDims: true as boolean },
  tokens: 'mixed',
  stream: 'fixed',
  int8: 'calibrated',
  infer({ x }, { axis, keepDims }) {
    const at = axisOf(axis, x.shape.length);
    if (!isFloat(x.dtype) || at === null) invalid(`mean of axis ${axis} of ${x.dtype}${shapeText(x.shape)}`);
    return { dtype: 'f32', shape: keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1) };
  },
  evaluate({ x }, { axis, keepDims }) {
    const at = axisOf(axis, x.shape.length) as number;
    const { outer, length, inner } = aroundAxis(x.shape, at);
    const source = readF32(x);
    const values = new Float32Array(outer * inner);
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        let sum = 0;
        for (let i = 0; i < length; i++) sum += source[(o * length + i) * inner + k] as number;
        values[o * inner + k] = sum / length;
      }
    }
    return tensorOf('f32', keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1), values);
  },
});
