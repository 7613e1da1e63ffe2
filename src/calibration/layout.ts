import { MbertError } from '../errors.ts';
import type { Graph, Node } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { bindDim, type Dim, product, type Shape, shapeText, sizeOf } from '../ir/shape.ts';
import type { TokenInputs } from './graph-session.ts';
import { followTokens } from './token-axes.ts';

/** Place of a value's valid part: behind it are padding and, in a batch, copies of the one sequence. */
export interface TokenLayout {
  /** Size of the last axis; 1 where that counts tokens. */
  readonly channels: number;
  /** Rows of channels besides tokens, e.g. one for each head. */
  readonly otherRows: number;
  /** Axes to cut to the valid tokens: one, for attention scores two, for what is pooled none. */
  readonly tokenAxes: readonly number[];
  /** True where the first axis counts the batch, to be cut to its first. */
  readonly hasBatch: boolean;
  /** True where the first axis is batch times sequence: it must be taken apart before the axes above are there. */
  readonly isFlat: boolean;
}

/**
 * Gives the layout of any node of a graph that takes these inputs, and throws UNSUPPORTED for what has no real numbers. A
 * symbolic sequence shows itself in every shape; a fixed one may be as long as something else is wide.
 */
export function layoutsOf(graph: Graph, inputs: TokenInputs): (node: Node) => TokenLayout {
  const isSymbolic = typeof inputs.shape.at(-1) === 'string';
  const followed = isSymbolic ? new Map<Node, readonly boolean[]>() : followTokens(graph);
  return (node) => layoutOf(node, inputs, followed.get(node));
}

/** `counted`: whether each axis counts tokens, where that is known from how the value is computed. */
function layoutOf(node: Node, inputs: TokenInputs, counted: readonly boolean[] | undefined): TokenLayout {
  const { type } = node;
  if (!isFloat(type.dtype) || type.quant !== undefined || type.shape.length === 0) {
    throw new MbertError('UNSUPPORTED', `${node.name}: statistics of ${type.dtype}${shapeText(type.shape)}`, {
      hint: 'calibrate the float model',
    });
  }
  const isFlat =
    inputs.batch > 1 && type.shape.length > 1 && type.shape[0] === product(inputs.shape) && counted?.[0] !== false;
  const shape = isFlat ? [inputs.batch, inputs.shape.at(-1) as Dim, ...type.shape.slice(1)] : type.shape;
  const tokenAxes = isFlat ? [1] : tokenAxesOf(shape, inputs, counted);
  const hasBatch = inputs.batch > 1 && shape[0] === inputs.batch;
  const last = shape.length - 1;
  const sizes = shape.map((dim, axis) => (tokenAxes.includes(axis) || (hasBatch && axis === 0) ? 1 : bound(dim, node)));
  const channels = sizes[last] as number;
  return { channels, otherRows: sizeOf(sizes) / channels, tokenAxes, hasBatch, isFlat };

  /** Size of a dimension: a run feeds one sequence, so what else is a symbol stands for 1. */
  function bound(dim: Dim, { name }: Node): number {
    const size = bindDim(dim, inputs.symbols);
    if (size !== null) return size;
    throw new MbertError('UNSUPPORTED', `${name}: statistics of ${shapeText(shape)}: no input has ${dim}`);
  }
}

/** Values without any part of an input, as a table of positions, are [tokens, channels] or [batch, tokens, channels]. */
function tokenAxesOf(shape: Shape, inputs: TokenInputs, counted: readonly boolean[] | undefined): number[] {
  const sequence = inputs.shape.at(-1) as Dim;
  const axes = shape.map((_, axis) => axis);
  if (typeof sequence === 'string') return axes.filter((axis) => String(shape[axis]).split('*').includes(sequence));
  const place = shape.length - 2;
  // Of flat tokens [batch*sequence, channels] with any batch, one sequence is run.
  const isLong = (dim: Dim | undefined) => dim !== undefined && bindDim(dim, inputs.symbols) === sequence;
  return axes.filter((axis) => (counted ? counted[axis] : axis === place) && isLong(shape[axis]));
}
