import type { Call, Constant, Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { hasOneUse } from '../attention.ts';
import { moduleOf } from './names.ts';

/**
 * Merges a bias into its linear. Exporters that fold a weight's transpose forget the weight's name, but not the bias's:
 * the weight is named after the bias again.
 */
export const raiseLinear: Pass = {
  name: 'raise-linear',
  summary: 'linear(x, W) + b  ->  linear(x, W, b)',
  keeps: 'values',
  run(graph, context) {
    const names = new Set(graph.nodes().map(({ name }) => name));
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op !== 'add' || context.keeps(node)) continue;
      if (graph.replace(node, () => withBias(graph, node, names))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

function withBias(graph: Graph, node: Call<'add'>, names: Set<string>): Node | null {
  const [a, b] = node.inputs as readonly [Node, Node];
  for (const [linear, addend] of [
    [a, b],
    [b, a],
  ] as const) {
    if (linear.op !== 'linear' || linear.inputs.length > 2 || linear.attrs.activation !== 'none') continue;
    if (addend.op !== 'constant' || !isPerOutput(addend, linear) || !hasOneUse(graph, linear)) continue;
    const [x, weight] = linear.inputs as readonly [Node, Node];
    const bias = perChannelConstant(graph, addend);
    return graph.add('linear', [x, named(graph, weight, bias, names), bias], linear.attrs, moduleOf(bias, node.name));
  }
  return null;
}

/** Whether a bias has one number for each output, without further axes that would repeat the linear. */
function isPerOutput(bias: Constant, linear: Node): boolean {
  const { shape } = bias.tensor;
  const out = linear.type.shape.at(-1);
  return shape.at(-1) === out && sizeOf(shape) === out && shape.length <= linear.type.shape.length;
}

/** Reshapes a constant to a single axis. */
export function perChannelConstant(graph: Graph, node: Constant): Constant {
  const { tensor, name, type } = node;
  if (tensor.shape.length === 1) return node;
  const quant = type.quant?.per === 'tensor' ? type.quant : undefined;
  return graph.constant({ ...tensor, shape: [sizeOf(tensor.shape)] }, name, quant);
}

const BIAS = /bias$/;
const WEIGHT = /weight|kernel/;

/** Names an anonymous weight after its bias: `layer.weight` next to `layer.bias`, where there is none yet. */
function named(graph: Graph, weight: Node, bias: Constant, names: Set<string>): Node {
  const name = bias.name.replace(BIAS, 'weight');
  const isNamed = !BIAS.test(bias.name) || WEIGHT.test(weight.name) || names.has(name);
  if (isNamed || weight.op !== 'constant' || weight.users.size > 1) return weight;
  names.add(name);
  return graph.constant(weight.tensor, name, weight.type.quant);
}
