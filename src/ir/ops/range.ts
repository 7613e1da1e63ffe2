import { defineOp, invalid } from '../op.ts';
import { bindDim, type Dim } from '../shape.ts';
import { type DType, integerTensor } from '../tensor.ts';

/** 0, 1, 2, … below `end`: places along an axis, where a mask compares them with a length. */
export const range = defineOp({
  inputs: [],
  attrs: { end: 0 as Dim, to: 'i64' as DType },
  tokens: 'mixed',
  stream: 'fixed',
  infer(_, { end, to }) {
    if ((to !== 'i64' && to !== 'i32') || (typeof end === 'number' && end < 0)) invalid(`range to ${end} of ${to}`);
    return { dtype: to, shape: [end] };
  },
  evaluate(_, { end, to }, bindings) {
    const length = bindDim(end, bindings) ?? invalid(`range to an unbound ${end}`);
    return integerTensor(
      to as 'i64' | 'i32',
      Array.from({ length }, (_, i) => i),
    );
  },
});
