import { defineOp, invalid } from '../op.ts';
import { aroundAxis, axisOf, isBeforeLast, shapeText } from '../shape.ts';
import { pickElements } from './strides.ts';

/** y[t] = x[t + offset] along an axis, zero where that is outside: the trigram's neighbours. */
export const shift = defineOp({
  inputs: ['x'],
  attrs: { axis: 1 as number, offset: 0 as number },
  tokens: 'mixed',
  stream: 'moved',
  moves: { keepsChannels: (x, { axis }) => isBeforeLast(axis, x) },
  infer({ x }, { axis, offset }) {
    if (axisOf(axis, x.shape.length) === null || !Number.isInteger(offset)) {
      invalid(`shift by ${offset} along axis ${axis} of ${shapeText(x.shape)}`);
    }
    return { dtype: x.dtype, shape: x.shape };
  },
  evaluate({ x }, { axis, offset }) {
    const { outer, length, inner } = aroundAxis(x.shape, axisOf(axis, x.shape.length) as number);
    const indices = new Int32Array(outer * length * inner);
    let i = 0;
    for (let o = 0; o < outer; o++) {
      for (let t = 0; t < length; t++) {
        const inside = t + offset >= 0 && t + offset < length;
        for (let k = 0; k < inner; k++) indices[i++] = inside ? (o * length + t + offset) * inner + k : -1;
      }
    }
    return pickElements(x, x.shape, indices);
  },
});
