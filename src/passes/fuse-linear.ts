import type { Call, Graph, Node } from '../ir/graph.ts';
import type { Pass } from '../ir/pass.ts';
import { constantLinear, hasOneUse } from './attention.ts';

/** Builds relu(linear(x)) as one node, where nothing else reads the linear. */
function withActivation(graph: Graph, relu: Node): Node | null {
  const linear = relu.inputs[0];
  if (relu.op !== 'relu' || linear?.op !== 'linear' || linear.attrs.activation !== 'none' || !hasOneUse(graph, linear))
    return null;
  return graph.add('linear', linear.inputs, { activation: 'relu' }, linear.name);
}

/** Builds linear(x) + b, with b a constant per channel, as one node. */
function withBias(graph: Graph, add: Call<'add'>): Node | null {
  for (const [operand, bias] of [add.inputs, [...add.inputs].reverse()] as [Node, Node][]) {
    const linear = constantLinear(operand);
    if (!linear || linear.bias || bias.op !== 'constant' || linear.node.attrs.activation !== 'none') continue;
    const perChannel = bias.type.shape.length === 1 && bias.type.shape[0] === operand.type.shape.at(-1);
    if (perChannel && hasOneUse(graph, operand))
      return graph.add('linear', [linear.x, linear.weight, bias], linear.node.attrs, operand.name);
  }
  return null;
}

export const fuseLinear: Pass = {
  name: 'fuse-linear',
  summary: 'relu(x @ W + b)  ->  linear(x, W, b) with activation relu',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (context.keeps(node)) continue;
      if (graph.replace(node, () => (node.op === 'add' ? withBias(graph, node) : withActivation(graph, node))))
        rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
