import type { Graph } from '../ir/graph.ts';
import { scalarOf } from '../ir/match.ts';
import { scalarTensor } from '../ir/tensor.ts';
import { HIDING_SCORE } from '../models/builder.ts';

/** The smallest float, which transformers adds to scores of padding in PyTorch. */
const LEAST_FLOAT = -3.4028234663852886e38;

/** Names of the constants that `attentionMask` and `localMask` add to scores of padding. */
const NAMES = /(^|\.)(attention_bias|mask)\.least$/;

/**
 * Hides padding in a graph as PyTorch's code does, by the smallest float: behind it nothing is seen of padding, however
 * far attention's scores reach. Changes the graph, and returns it.
 */
export function withLeastMask(graph: Graph): Graph {
  for (const node of graph.nodes()) {
    if (node.op !== 'constant' || !NAMES.test(node.name) || scalarOf(node) !== HIDING_SCORE) continue;
    graph.replace(node, () => graph.constant(scalarTensor(LEAST_FLOAT), node.name));
  }
  return graph;
}
