import { MbertError } from '../../errors.ts';
import type { Node } from '../../ir/graph.ts';
import { isStatic, type Shape, shapeText } from '../../ir/shape.ts';
import type { Result, TfliteBuilder } from './builder.ts';

/** Describes a float value on the way to a node's. */
export function step(node: Node, part: string, shape: Shape): Result {
  return { name: `${node.name}/${part}`, type: { dtype: 'f32', shape } };
}

/** Adds a RESHAPE to the result's shape: one size may be known only at run time, which is -1. */
export function reshape(out: TfliteBuilder, x: number, result: Result): number {
  const { shape } = result.type;
  if (shape.filter((dim) => typeof dim === 'string').length > 1) {
    throw new MbertError(
      'UNSUPPORTED',
      `${result.name}: tflite can leave one size to the run, not two: ${shapeText(shape)}`,
      {
        hint: 'give --batch or --sequence-length a number',
      },
    );
  }
  const sizes = shape.map((dim) => (typeof dim === 'number' ? dim : -1));
  // The options repeat a static shape, for delegates that read them; -1 in them would be misread as a size.
  const value = isStatic(shape) ? { newShape: sizes } : {};
  return out.op('RESHAPE', [x, out.integers('shape', sizes)], result, { kind: 'ReshapeOptions', value });
}
