import { computedType, defineOp, invalid } from '../op.ts';
import { aroundAxis, axisOf, shapeText } from '../shape.ts';
import { numbersOf, resultTensor } from './elementwise.ts';

/** y[t] = x[0] + … + x[t] along an axis: how many tokens there are up to each, where x is 1 for a token. */
export const cumulativeSum = defineOp({
  inputs: ['x'],
  attrs: { axis: -1 as number },
  tokens: 'mixed',
  stream: 'fixed',
  infer({ x }, { axis }) {
    if (axisOf(axis, x.shape.length) === null || x.dtype === 'bool')
      invalid(`cumulativeSum along axis ${axis} of ${x.dtype} ${shapeText(x.shape)}`);
    return { dtype: computedType(x.dtype), shape: x.shape };
  },
  evaluate({ x }, { axis }) {
    const { outer, length, inner } = aroundAxis(x.shape, axisOf(axis, x.shape.length) as number);
    const values = Float64Array.from(numbersOf(x));
    for (let o = 0; o < outer; o++) {
      const start = o * length * inner;
      for (let i = start + inner; i < start + length * inner; i++) {
        values[i] = (values[i] as number) + (values[i - inner] as number);
      }
    }
    return resultTensor(computedType(x.dtype), x.shape, values);
  },
});
