import type { Call, Node } from '../../ir/graph.ts';
import { isStatic, type Shape } from '../../ir/shape.ts';
import type { Result, TfliteBuilder } from './builder.ts';
import { operand, operands } from './operands.ts';
import { sizesOf, step } from './shapes.ts';
import type { Builtin } from './versions.ts';

const COMPARISONS = {
  equal: 'EQUAL',
  less: 'LESS',
  lessOrEqual: 'LESS_EQUAL',
  greater: 'GREATER',
  greaterOrEqual: 'GREATER_EQUAL',
} as const satisfies { readonly [test: string]: Builtin };

export function lowerCompare(node: Call<'compare'>, out: TfliteBuilder): number {
  return out.op(COMPARISONS[node.attrs.test], operands(node, out), node);
}

/** Lowers to x ≠ x, which is true for what is no number only. */
export function lowerIsNan(node: Call<'isNan'>, out: TfliteBuilder): number {
  const x = operand(node, 0, out);
  return out.op('NOT_EQUAL', [x, x], node);
}

/** Lowers to BROADCAST_TO, whose shape is computed where the run decides on a size. */
export function lowerExpand(node: Call<'expand'>, out: TfliteBuilder): number {
  const { shape } = node.attrs;
  const sizes = isStatic(shape) ? out.integers('shape', shape) : sizesOf(node, shape, out);
  return out.op('BROADCAST_TO', [operand(node, 0, out), sizes], node);
}

/** Magnitude below which erf is taken to be that of this number with x's sign: about 1e-10 off. */
const LEAST = 1e-10;

/**
 * Lowers the error function to GELU, whose inner part it is: with a = max(√2 |x|, 1e-10), gelu(a) / a = Φ(a) and
 * erf(|x|) = 2 Φ(a) - 1; √2 x / a is x's sign.
 */
export function lowerErf(node: Call<'erf'>, out: TfliteBuilder): number {
  const { shape } = node.type;
  const part = (name: string): Result => step(node, name, shape);
  const scaled = out.op('MUL', [operand(node, 0, out), out.scalar(Math.SQRT2)], part('scaled'), MUL);
  const size = out.op('ABS', [scaled], part('magnitude'));
  const magnitude = out.op('MAXIMUM', [size, out.scalar(LEAST)], part('guarded'));
  const gelu = out.op('GELU', [magnitude], part('gelu'), { kind: 'GeluOptions', value: { approximate: false } });
  const share = out.op('DIV', [gelu, magnitude], part('share'), DIV);
  const doubled = out.op('ADD', [share, share], part('doubled'), { kind: 'AddOptions', value: {} });
  const value = out.op('SUB', [doubled, out.scalar(1)], part('value'), { kind: 'SubOptions', value: {} });
  const sign = out.op('DIV', [scaled, magnitude], part('sign'), DIV);
  return out.op('MUL', [value, sign], node, MUL);
}

const MUL = { kind: 'MulOptions', value: {} } as const;
const DIV = { kind: 'DivOptions', value: {} } as const;

/** Lowers softmax, over another axis than the last one between two TRANSPOSEs. */
export function lowerSoftmax(node: Call<'softmax'>, axis: number, out: TfliteBuilder): number {
  const x = operand(node, 0, out);
  const { shape } = node.type;
  const last = shape.length - 1;
  const options = { kind: 'SoftmaxOptions', value: { beta: 1 } } as const;
  if (axis === last) return out.op('SOFTMAX', [x], node, options);
  // Swapping two axes undoes itself.
  const permutation = shape.map((_, i) => (i === axis ? last : i === last ? axis : i));
  const turnedShape = permutation.map((from) => shape[from]) as Shape;
  const turned = turn(x, permutation, like(node, 'turned', turnedShape), out);
  return turn(out.op('SOFTMAX', [turned], like(node, 'shares', turnedShape), options), permutation, node, out);
}

function like(node: Node, part: string, shape: Shape): Result {
  return { name: `${node.name}/${part}`, type: { ...node.type, shape } };
}

function turn(x: number, permutation: readonly number[], result: Result, out: TfliteBuilder): number {
  return out.op('TRANSPOSE', [x, out.integers('permutation', permutation)], result, {
    kind: 'TransposeOptions',
    value: {},
  });
}
