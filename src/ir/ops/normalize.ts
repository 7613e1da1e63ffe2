import { defineOp, invalid, isFloat } from '../op.ts';
import { shapeText } from '../shape.ts';
import { readF32, tensorOf } from '../tensor.ts';

/** x / max(‖x‖, epsilon) with the Euclidean norm over the last axis. x [..., width]. */
export const normalize = defineOp({
  inputs: ['x'],
  attrs: { epsilon: 1e-12 as number },
  tokens: 'first-input',
  stream: 'fixed',
  infer({ x }) {
    if (!isFloat(x.dtype) || x.shape.length === 0) invalid(`normalize of ${x.dtype}${shapeText(x.shape)}`);
    return { dtype: 'f32', shape: x.shape };
  },
  evaluate({ x }, { epsilon }) {
    const source = readF32(x);
    const width = x.shape.at(-1) as number;
    const values = new Float32Array(source.length);
    for (let from = 0; from < source.length; from += width) {
      let squares = 0;
      for (let i = 0; i < width; i++) squares += (source[from + i] as number) ** 2;
      const length = Math.max(Math.sqrt(squares), epsilon);
      for (let i = 0; i < width; i++) values[from + i] = (source[from + i] as number) / length;
    }
    return tensorOf('f32', x.shape, values);
  },
});
