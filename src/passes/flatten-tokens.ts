import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import type { OpName } from '../ir/ops/index.ts';
import type { Pass } from '../ir/pass.ts';
import { product, type Shape, sameShape } from '../ir/shape.ts';
import { isAlongChannels, isParameter, isTokenWise } from '../ir/token-wise.ts';

/**
 * Computes on [batch*sequence, hidden] what is computed for each token of [batch, sequence, hidden]: a linear then is
 * one matrix product and its residual the product's addend. Every linear is made flat; the nodes that follow stay flat
 * as long as that adds no more reshapes than it saves. So reshapes remain around attention, the trigram and the
 * outputs.
 */
export const flattenTokens: Pass = {
  name: 'flatten-tokens',
  summary: 'linear(x[batch, sequence, hidden])  ->  reshape(linear(reshape(x)[batch*sequence, hidden]))',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    // Inputs come before users, so what a node reads is flat already if it can be.
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || context.keeps(node)) continue;
      if (graph.replace(node, () => (node.op === 'reshape' ? merged(graph, node) : flattened(graph, node)))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

/** Merges a reshape of a reshape into one, or into none where it restores the source's shape. */
function merged(graph: Graph, node: Call<'reshape'>): Node | null {
  const x = node.inputs[0] as Node;
  if (sameShape(x.type.shape, node.type.shape)) return x;
  if (x.op !== 'reshape') return null;
  const source = x.inputs[0] as Node;
  return sameShape(source.type.shape, node.type.shape) ? source : graph.add('reshape', [source], node.attrs, node.name);
}

/** Builds the node on flat tokens, followed by a reshape back; null where that is impossible or does not pay. */
function flattened(graph: Graph, node: Call): Node | null {
  if (node.type.shape.length < 3 || !isFlattened(node) || isHalfInteger(node)) return null;
  const operands = node.inputs.map((input, i) => operandOf(node, input, i));
  if (operands.includes(null)) return null;
  if (node.op !== 'linear') {
    const saved = operands.filter((operand) => operand?.cost === -1).length;
    const added = operands.filter((operand) => operand?.cost === 1).length;
    if (saved === 0 || added > saved) return null;
  }
  const inputs = operands.map((operand, i) => reshaped(graph, node.inputs[i] as Node, operand?.shape as Shape));
  const attrs: Attrs = isAlongChannels(node) ? { ...node.attrs, axis: -1 } : node.attrs;
  const flat = graph.add(node.op, inputs, attrs, node.name);
  return graph.add('reshape', [flat], { shape: node.type.shape });
}

/**
 * Ops left as they are: masks, which are one small value for all layers, and ops that store values as integers, which
 * exporters look for where they stand.
 */
const UNFLATTENED: ReadonlySet<OpName> = new Set([
  'and',
  'compare',
  'dequantize',
  'isNan',
  'maximum',
  'minimum',
  'not',
  'or',
  'quantize',
  'where',
]);

/** Whether the op may be computed on flat tokens. A dynamicRound may: it looks at all tokens, in whatever shape. */
function isFlattened(node: Call): boolean {
  return node.op === 'dynamicRound' || (isTokenWise(node) && !UNFLATTENED.has(node.op));
}

/**
 * Whether a node is a linear of dequantized values and float weights, as quantization-aware training leaves it. In a
 * Gemm, ONNX Runtime 1.30 would round the weights to 8 bits of its own choice, also where it has to move the
 * DequantizeLinear there itself.
 */
function isHalfInteger(node: Call): boolean {
  if (node.op !== 'linear' || node.inputs[1]?.type.quant !== undefined) return false;
  let x = node.inputs[0] as Node;
  while (x.op === 'reshape' || x.op === 'transpose' || x.op === 'slice') x = x.inputs[0] as Node;
  return x.op === 'dequantize' || x.type.quant !== undefined;
}

/** The shape in which a flat node reads its input. */
interface Operand {
  readonly shape: Shape;
  /** The change in the number of reshapes: -1 saves one, 0 changes nothing, 1 adds one. */
  readonly cost: -1 | 0 | 1;
}

/** Plans how the flat node reads an input; null where the input has tokens of its own in another layout. */
function operandOf(node: Call, input: Node, index: number): Operand | null {
  const { shape } = input.type;
  const lead = shape.slice(0, -1);
  if (isParameter(node, index)) return { shape, cost: 0 };
  if (shape.length === node.type.shape.length && sameShape(lead, node.type.shape.slice(0, -1))) {
    const flat = flatShape(shape);
    if (input.op === 'reshape') return { shape: flat, cost: -1 };
    return { shape: flat, cost: input.op === 'constant' || earlierReshape(input, flat) ? 0 : 1 };
  }
  // Without an axis of its own for tokens, an input broadcasts over them in either form.
  if (lead.some((dim) => dim !== 1)) return null;
  if (shape.length < 3) return { shape, cost: 0 };
  return { shape: shape.slice(-1), cost: input.op === 'constant' ? 0 : 1 };
}

function flatShape(shape: Shape): Shape {
  return [product(shape.slice(0, -1)), ...shape.slice(-1)];
}

/** Builds `node` in another shape, with no reshape where a constant or an earlier reshape will do. */
function reshaped(graph: Graph, node: Node, shape: Shape): Node {
  const source = node.op === 'reshape' ? (node.inputs[0] as Node) : node;
  if (sameShape(source.type.shape, shape)) return source;
  if (source.op === 'constant') {
    return graph.constant({ ...source.tensor, shape: shape as readonly number[] }, source.name);
  }
  return earlierReshape(source, shape) ?? graph.add('reshape', [source], { shape });
}

/** Finds the reshape to `shape` that another reader of the node has needed before. */
function earlierReshape(node: Node, shape: Shape): Node | undefined {
  return [...node.users].find((user) => user.op === 'reshape' && sameShape(user.type.shape, shape));
}
