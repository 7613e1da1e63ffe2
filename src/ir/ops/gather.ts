import { computedType, defineOp, invalid, isFloat } from '../op.ts';
import { aroundAxis, axisOf, isBeforeLast, shapeText, sizeOf } from '../shape.ts';
import { convertTensor, readIntegers } from '../tensor.ts';
import { pickElements } from './strides.ts';

/**
 * Look-up of slices of x by index. With axis 0, x [vocabulary, hidden] and indices [batch, sequence] it is the
 * embedding look-up [batch, sequence, hidden].
 */
export const gather = defineOp({
  inputs: ['x', 'indices'],
  attrs: { axis: 0 as number },
  tokens: 'mixed',
  stream: 'moved',
  moves: { keepsChannels: (x, { axis }) => isBeforeLast(axis, x) },
  infer({ x, indices }, { axis }) {
    const at = axisOf(axis, x.shape.length);
    if (at === null || isFloat(indices.dtype))
      invalid(`gather of axis ${axis} of ${shapeText(x.shape)} by ${indices.dtype}`);
    return {
      dtype: computedType(x.dtype),
      shape: [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)],
    };
  },
  evaluate({ x, indices }, { axis }) {
    const at = axisOf(axis, x.shape.length) as number;
    const { outer, length, inner } = aroundAxis(x.shape, at);
    const rows = readIntegers(indices);
    const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
    const picked = new Int32Array(sizeOf(shape));
    let i = 0;
    for (let o = 0; o < outer; o++) {
      for (const row of rows) {
        const index = row < 0 ? row + length : row;
        if (index < 0 || index >= length) invalid(`gather of row ${row} of ${length}`);
        for (let k = 0; k < inner; k++) picked[i++] = (o * length + index) * inner + k;
      }
    }
    const result = pickElements(x, shape, picked);
    return isFloat(x.dtype) ? convertTensor(result, 'f32') : result;
  },
});
