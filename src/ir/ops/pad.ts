import { defineOp, invalid } from '../op.ts';
import { shapeText, sizeOf } from '../shape.ts';
import { pickElements } from './strides.ts';

/** Zeros around x: `before` and `after` count them per axis. Padded axes have static sizes. */
export const pad = defineOp({
  inputs: ['x'],
  attrs: { before: [] as readonly number[], after: [] as readonly number[] },
  tokens: 'mixed',
  stream: 'fixed',
  moves: { keepsChannels: (_, { before, after }) => before.at(-1) === 0 && after.at(-1) === 0 },
  infer({ x }, { before, after }) {
    const counts = [...before, ...after];
    if (
      before.length !== x.shape.length ||
      after.length !== x.shape.length ||
      counts.some((n) => !Number.isInteger(n) || n < 0)
    ) {
      invalid(`pad of ${shapeText(x.shape)} by ${shapeText(before)} and ${shapeText(after)}`);
    }
    return {
      dtype: x.dtype,
      shape: x.shape.map((dim, i) => {
        const extra = (before[i] as number) + (after[i] as number);
        if (typeof dim === 'number') return dim + extra;
        return extra === 0 ? dim : invalid(`pad of the symbolic axis ${i} of ${shapeText(x.shape)}`);
      }),
    };
  },
  evaluate({ x }, { before, after }) {
    const shape = x.shape.map((dim, i) => dim + (before[i] as number) + (after[i] as number));
    const strides = x.shape.map((_, i) => sizeOf(x.shape.slice(i + 1)));
    const indices = new Int32Array(sizeOf(shape));
    for (let i = 0; i < indices.length; i++) {
      let rest = i;
      let index = 0;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const size = shape[axis] as number;
        const position = (rest % size) - (before[axis] as number);
        rest = Math.floor(rest / size);
        if (index < 0 || position < 0 || position >= (x.shape[axis] as number)) index = -1;
        else index += position * (strides[axis] as number);
      }
      indices[i] = index;
    }
    return pickElements(x, shape, indices);
  },
});
