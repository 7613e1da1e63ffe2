import { MbertError } from '../../errors.ts';
import type { Node } from '../../ir/graph.ts';
import { isStatic, type Shape, shapeText } from '../../ir/shape.ts';
import type { Result, TfliteBuilder } from './builder.ts';

/** Describes a float value on the way to a node's. */
export function step(node: Node, part: string, shape: Shape): Result {
  return { name: `${node.name}/${part}`, type: { dtype: 'f32', shape } };
}

/**
 * Sizes of a shape as the i32 vector that the run computes: those that it decides on are taken from the shapes of the
 * inputs. Throws UNSUPPORTED for a size that no input has.
 */
export function sizesOf(node: Node, shape: Shape, out: TfliteBuilder): number {
  const parts = shape.map((dim) => (typeof dim === 'number' ? out.integers('size', [dim]) : sizeOf(node, dim, out)));
  return out.op('CONCATENATION', parts, integersOf(`${node.name}/sizes`, shape.length), {
    kind: 'ConcatenationOptions',
    value: { axis: 0 },
  });
}

function sizeOf(node: Node, dim: string, out: TfliteBuilder): number {
  const source = out.inputWith(dim);
  if (source === undefined) {
    throw new MbertError('UNSUPPORTED', `${node.name}: tflite cannot tell ${dim} from the shape of an input`, {
      hint: out.wayToFixSizes('give --batch and --sequence-length numbers'),
    });
  }
  const { input, axis } = source;
  return out.once(`size ${dim}`, () => {
    const whole = out.once(`shape ${input.name}`, () =>
      out.op('SHAPE', [out.value(input)], integersOf(`${input.name}/shape`, input.type.shape.length), {
        kind: 'ShapeOptions',
        value: { outType: 'INT32' },
      }),
    );
    const inputs = [whole, out.integers('begin', [axis]), out.integers('size', [1])];
    return out.op('SLICE', inputs, integersOf(`${input.name}/${dim}`, 1), { kind: 'SliceOptions', value: {} });
  });
}

function integersOf(name: string, length: number): Result {
  return { name, type: { dtype: 'i32', shape: [length] } };
}

/** Adds a RESHAPE to the result's shape: one size may be known only at run time, which is -1. */
export function reshape(out: TfliteBuilder, x: number, result: Result): number {
  const { shape } = result.type;
  if (shape.filter((dim) => typeof dim === 'string').length > 1) {
    throw new MbertError(
      'UNSUPPORTED',
      `${result.name}: tflite can leave one size to the run, not two: ${shapeText(shape)}`,
      {
        hint: out.wayToFixSizes('give --batch or --sequence-length a number'),
      },
    );
  }
  const sizes = shape.map((dim) => (typeof dim === 'number' ? dim : -1));
  // The options repeat a static shape, for delegates that read them; -1 in them would be misread as a size.
  const value = isStatic(shape) ? { newShape: sizes } : {};
  return out.op('RESHAPE', [x, out.integers('shape', sizes)], result, { kind: 'ReshapeOptions', value });
}
