import { elementsOf, tensorOfElements, zerosLike } from '../elements.ts';
import { defineOp, invalid } from '../op.ts';
import { axisOf, type Dim, isBeforeLast, type Shape, sameShape, shapeText, sizeOf } from '../shape.ts';
import type { Tensor, TensorType } from '../tensor.ts';

function concatShape(shapes: readonly Shape[], axis: number): Shape {
  const first = shapes[0];
  const at = first && axisOf(axis, first.length);
  if (first === undefined || at === null || at === undefined)
    invalid(`concat of ${shapes.length} inputs along axis ${axis}`);
  let length = 0;
  for (const shape of shapes) {
    const size = shape[at];
    if (typeof size !== 'number' || !sameShape(shape.with(at, 0), first.with(at, 0))) {
      invalid(`concat of ${shapes.map(shapeText).join(' and ')} along axis ${axis}`);
    }
    length += size;
  }
  return first.with(at, length as Dim);
}

/** Concatenation of the inputs along an axis; their other axes are equal. */
export const concat = defineOp({
  inputs: ['xs...'],
  attrs: { axis: -1 as number },
  tokens: 'along-axis',
  stream: 'moved',
  moves: { keepsChannels: (x, { axis }) => isBeforeLast(axis, x) },
  infer({ xs }, { axis }): TensorType {
    return {
      dtype: (xs[0] as TensorType).dtype,
      shape: concatShape(
        xs.map((x) => x.shape),
        axis,
      ),
    };
  },
  evaluate({ xs }, { axis }): Tensor {
    const shape = concatShape(
      xs.map((x) => x.shape),
      axis,
    ) as readonly number[];
    const parts = xs.map(elementsOf);
    const outer = sizeOf(shape.slice(0, axisOf(axis, shape.length) as number));
    const elements = zerosLike(
      parts[0] as (typeof parts)[number],
      parts.reduce((sum, part) => sum + part.length, 0),
    );
    let to = 0;
    for (let o = 0; o < outer; o++) {
      for (const part of parts) {
        const block = part.length / outer;
        (elements as Uint8Array).set(part.subarray(o * block, (o + 1) * block) as Uint8Array, to);
        to += block;
      }
    }
    return tensorOfElements((xs[0] as Tensor).dtype, shape, elements);
  },
});
