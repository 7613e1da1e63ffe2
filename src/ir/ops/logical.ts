import { defineOp, invalid, type OpDef } from '../op.ts';
import { broadcast, sizeOf } from '../shape.ts';
import { tensorOf } from '../tensor.ts';
import { computePairs, pairShape } from './elementwise.ts';

/** A binary op whose answer is yes or no for each element, broadcasting as numpy does. Both inputs have one dtype. */
export function booleanOp<A extends { readonly [name: string]: string }>(
  name: string,
  { attrs, commutative }: { readonly attrs: A; readonly commutative: boolean },
  compute: (a: number, b: number, attrs: A) => boolean,
): OpDef<readonly ['a', 'b'], A> {
  return defineOp({
    inputs: ['a', 'b'] as const,
    attrs,
    commutative,
    tokens: 'elementwise',
    stream: 'fixed',
    infer({ a, b }) {
      const shape = pairShape(name, a.shape, b.shape);
      if (a.dtype !== b.dtype) invalid(`${name} of ${a.dtype} and ${b.dtype}`);
      return { dtype: 'bool', shape };
    },
    evaluate({ a, b }, nodeAttrs) {
      const shape = broadcast(a.shape, b.shape) as readonly number[];
      const values = new Uint8Array(sizeOf(shape));
      computePairs(a, b, shape, values, (x, y) => (compute(x, y, nodeAttrs) ? 1 : 0));
      return tensorOf('bool', shape, values);
    },
  });
}
