import { MbertError } from '../errors.ts';
import type { Node } from '../ir/graph.ts';
import { isFloat } from '../ir/op.ts';
import { bindDim, type Dim, product, type Shape, shapeText, sizeOf } from '../ir/shape.ts';
import type { TokenInputs } from './graph-session.ts';

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
 * Layout of a node in a graph that takes these inputs. A symbolic sequence shows itself in every shape. A fixed one may
 * be as long as something else is wide, so that the place of an axis decides: [tokens, channels], [batch, tokens,
 * channels], [batch, heads, tokens, ·] or [batch, tokens, heads, ·]. Throws UNSUPPORTED for what has no real numbers.
 */
export function layoutOf(node: Node, inputs: TokenInputs): TokenLayout {
  const { type } = node;
  if (!isFloat(type.dtype) || type.quant !== undefined || type.shape.length === 0) {
    throw new MbertError('UNSUPPORTED', `${node.name}: statistics of ${type.dtype}${shapeText(type.shape)}`, {
      hint: 'calibrate the float model',
    });
  }
  const isFlat = inputs.batch > 1 && type.shape.length === 2 && type.shape[0] === product(inputs.shape);
  const shape = isFlat ? [inputs.batch, inputs.shape.at(-1) as Dim, type.shape[1] as Dim] : type.shape;
  const tokenAxes = tokenAxesOf(shape, node, inputs);
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

function tokenAxesOf(shape: Shape, node: Node, inputs: TokenInputs): number[] {
  const sequence = inputs.shape.at(-1) as Dim;
  const axes = shape.map((_, axis) => axis);
  if (typeof sequence === 'string') return axes.filter((axis) => String(shape[axis]).split('*').includes(sequence));
  const places = shape.length === 2 ? [0] : shape.length === 3 ? [1] : [2, 1];
  const first = places.find((axis) => shape[axis] === sequence);
  if (first === undefined) return isMask(shape, inputs) ? [shape.length - 1] : [];
  return first === 2 && shape[3] === sequence && isScores(node) ? [2, 3] : [first];
}

/** True for [batch, 1, …, tokens], broadcast over everything but the tokens that attention looks at. */
function isMask(shape: Shape, inputs: TokenInputs): boolean {
  const others = product(shape.slice(0, -1));
  return shape.at(-1) === inputs.shape.at(-1) && (others === 1 || others === inputs.batch);
}

/** True for [batch, heads, tokens, tokens]: a product of queries and keys or what is made of it element by element. */
function isScores(node: Node): boolean {
  if (node.type.shape.length !== 4) return false;
  if (node.op === 'matmul') return node.attrs.transposeB;
  return ELEMENTWISE.has(node.op) && node.inputs.some(isScores);
}

const ELEMENTWISE: ReadonlySet<Node['op']> = new Set(['softmax', 'add', 'sub', 'mul', 'div', 'where']);
