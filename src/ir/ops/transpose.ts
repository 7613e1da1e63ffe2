import { defineOp, invalid } from '../op.ts';
import { shapeText, sizeOf } from '../shape.ts';
import { pickElements } from './strides.ts';

/** Axis i of the output is axis `permutation[i]` of x. */
export const transpose = defineOp({
  inputs: ['x'],
  attrs: { permutation: [] as readonly number[] },
  tokens: 'mixed',
  stream: 'moved',
  moves: { keepsChannels: (x, { permutation }) => x.length > 1 && permutation.at(-1) === x.length - 1 },
  infer({ x }, { permutation }) {
    const sorted = [...permutation].sort((a, b) => a - b);
    if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
      invalid(`transpose of ${shapeText(x.shape)} by ${shapeText(permutation)}`);
    }
    return { ...x, shape: permutation.map((axis) => x.shape[axis] as number | string) };
  },
  evaluate({ x }, { permutation }) {
    const shape = permutation.map((axis) => x.shape[axis] as number);
    const strides = permutation.map((axis) => sizeOf(x.shape.slice(axis + 1)));
    const indices = new Int32Array(sizeOf(shape));
    for (let i = 0; i < indices.length; i++) {
      let rest = i;
      let index = 0;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const size = shape[axis] as number;
        index += (rest % size) * (strides[axis] as number);
        rest = Math.floor(rest / size);
      }
      indices[i] = index;
    }
    return pickElements(x, shape, indices);
  },
});
