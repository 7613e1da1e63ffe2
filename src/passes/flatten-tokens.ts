import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import type { OpName } from '../ir/ops/index.ts';
import type { Pass } from '../ir/pass.ts';
import { product, type Shape, sameShape } from '../ir/shape.ts';
import { isAlongChannels, isParameter, isTokenWise } from '../ir/token-wise.ts';

/**
 * Computes on [batch*sequence, hidden] what is computed for each token of [batch, sequence, hidden]: a linear then is
 * one matrix product and its residual the product's addend. Every linear begins to be flat; what follows stays flat as
 * long as that takes no reshape more than it saves. So reshapes are left around attention, the trigram and the outputs.
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

/** A reshape of a reshape is one, or none where it leads back. */
function merged(graph: Graph, node: Call<'reshape'>): Node | null {
  const x = node.inputs[0] as Node;
  if (sameShape(x.type.shape, node.type.shape)) return x;
  if (x.op !== 'reshape') return null;
  const source = x.inputs[0] as Node;
  return sameShape(source.type.shape, node.type.shape) ? source : graph.add('reshape', [source], node.attrs, node.name);
}

/** The node computed on flat tokens and shaped back, or null where that cannot be or does not pay. */
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
 * Left as they are: masks, which are one small value for all layers, and what stores values, which exporters look for where
 * it stands.
 */
const LEFT: ReadonlySet<OpName> = new Set([
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

/** A dynamicRound looks at all tokens, in whatever shape. */
function isFlattened(node: Call): boolean {
  return node.op === 'dynamicRound' || (isTokenWise(node) && !LEFT.has(node.op));
}

/**
 * A linear of dequantized values and float weights, as quantization-aware training leaves it. In a Gemm, ONNX Runtime 1.30
 * would round the weights to 8 bits of its own choice, also where it has to move the DequantizeLinear there itself.
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
  /** -1: there is a reshape to be saved. 0: nothing changes. 1: a reshape is added. */
  readonly cost: -1 | 0 | 1;
}

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

function reshaped(graph: Graph, node: Node, shape: Shape): Node {
  const source = node.op === 'reshape' ? (node.inputs[0] as Node) : node;
  if (sameShape(source.type.shape, shape)) return source;
  if (source.op === 'constant') {
    return graph.constant({ ...source.tensor, shape: shape as readonly number[] }, source.name);
  }
  return earlierReshape(source, shape) ?? graph.add('reshape', [source], { shape });
}

/** What other readers of the node had made already. */
function earlierReshape(node: Node, shape: Shape): Node | undefined {
  return [...node.users].find((user) => user.op === 'reshape' && sameShape(user.type.shape, shape));
}
