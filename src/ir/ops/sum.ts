import { computedType, defineOp, invalid } from '../op.ts';
import { aroundAxis, axisOf, shapeText } from '../shape.ts';
import { numbersOf, resultTensor } from './elementwise.ts';

/** Sum along one axis, which stays with size 1 where `keepDims`. Integers stay integers: how many tokens are no padding. */
export const sum = defineOp({
  inputs: ['x'],
  attrs: { axis: -1 as number, keepDims: true as boolean },
  tokens: 'mixed',
  stream: 'fixed',
  infer({ x }, { axis, keepDims }) {
    const at = axisOf(axis, x.shape.length);
    if (x.dtype === 'bool' || at === null) invalid(`sum of axis ${axis} of ${x.dtype}${shapeText(x.shape)}`);
    return { dtype: computedType(x.dtype), shape: keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1) };
  },
  evaluate({ x }, { axis, keepDims }) {
    const at = axisOf(axis, x.shape.length) as number;
    const { outer, length, inner } = aroundAxis(x.shape, at);
    const source = numbersOf(x);
    const values = new Float64Array(outer * inner);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < length; i++) {
        for (let k = 0; k < inner; k++) {
          values[o * inner + k] = (values[o * inner + k] as number) + (source[(o * length + i) * inner + k] as number);
        }
      }
    }
    return resultTensor(computedType(x.dtype), keepDims ? x.shape.with(at, 1) : x.shape.toSpliced(at, 1), values);
  },
});
