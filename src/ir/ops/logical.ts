import { defineOp, invalid, type OpDef } from '../op.ts';
import { broadcast, shapeText, sizeOf } from '../shape.ts';
import { tensorOf } from '../tensor.ts';
import { broadcastIndices, numbersOf } from './elementwise.ts';

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
      const shape = broadcast(a.shape, b.shape);
      if (!shape) invalid(`${name} cannot broadcast ${shapeText(a.shape)} with ${shapeText(b.shape)}`);
      if (a.dtype !== b.dtype) invalid(`${name} of ${a.dtype} and ${b.dtype}`);
      return { dtype: 'bool', shape };
    },
    evaluate({ a, b }, nodeAttrs) {
      const shape = broadcast(a.shape, b.shape) as readonly number[];
      const x = numbersOf(a);
      const y = numbersOf(b);
      const xAt = broadcastIndices(a.shape, shape);
      const yAt = broadcastIndices(b.shape, shape);
      const values = new Uint8Array(sizeOf(shape));
      for (let i = 0; i < values.length; i++) {
        const left = x[xAt ? (xAt[i] as number) : i] as number;
        const right = y[yAt ? (yAt[i] as number) : i] as number;
        values[i] = compute(left, right, nodeAttrs) ? 1 : 0;
      }
      return tensorOf('bool', shape, values);
    },
  });
}
