import type { Graph, Node } from '../../ir/graph.ts';
import { scalarOf } from '../../ir/match.ts';
import type { Pass } from '../../ir/pass.ts';

/** The limit of nested sums: scores are a product, a scale, a mask and perhaps an offset. */
const MAX_DEPTH = 4;

/** Builds a sum without the scalars in it; null where it has none. */
function withoutNumbers(graph: Graph, node: Node, depth = 0): Node | null {
  if (node.op !== 'add' || node.type.quant !== undefined || depth === MAX_DEPTH) return null;
  const [a, b] = node.inputs as readonly [Node, Node];
  for (const [term, number] of [
    [a, b],
    [b, a],
  ] as const) {
    const isNumber = scalarOf(number) !== null && term.type.shape.length >= number.type.shape.length;
    if (isNumber) return withoutNumbers(graph, term, depth + 1) ?? term;
  }
  const [left, right] = [withoutNumbers(graph, a, depth + 1), withoutNumbers(graph, b, depth + 1)];
  return left === null && right === null ? null : graph.add('add', [left ?? a, right ?? b], {}, node.name);
}

/**
 * Drops a number that is added to all scores alike, as it is in softmax's numerator and denominator. transformers'
 * TensorFlow models add 1e-9 for XLA.
 */
export const raiseSoftmaxOffset: Pass = {
  name: 'raise-softmax-offset',
  summary: 'softmax(x + c)  ->  softmax(x)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op !== 'softmax' || node.type.quant !== undefined || context.keeps(node)) continue;
      const changed = graph.replace(node, () => {
        const scores = withoutNumbers(graph, node.inputs[0] as Node);
        return scores && graph.add('softmax', [scores], node.attrs, node.name);
      });
      if (changed) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
