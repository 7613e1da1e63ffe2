import type { Call, Graph, Node } from '../../ir/graph.ts';
import type { Attrs } from '../../ir/op.ts';
import type { Pass } from '../../ir/pass.ts';

/**
 * Merges nodes that compute the same value. Exporters write one value several times (a centred x for the variance and
 * one for the norm); patterns that say "the same x twice" then fail. Foreign ops may be random, so they stay apart.
 */
export const raiseDuplicates: Pass = {
  name: 'raise-duplicates',
  summary: 'op(x), op(x)  ->  one',
  keeps: 'bits',
  run(graph, context) {
    const seen = new Map<string, Node>();
    let rewrites = 0;
    // Inputs come before users: where two inputs became one, their readers now look alike as well.
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || node.op === 'foreign' || context.keeps(node)) continue;
      const key = keyOf(node);
      const earlier = seen.get(key);
      if (earlier === undefined) seen.set(key, node);
      else if (replaceBy(graph, node, earlier)) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};

function keyOf(node: Call): string {
  const { dtype, quant } = node.type;
  // Names are unique, so they stand for the inputs.
  const inputs = node.inputs.map(({ name }) => JSON.stringify(name));
  return [node.op, JSON.stringify(node.attrs as Attrs), dtype, quant ? JSON.stringify(quant) : '', ...inputs].join(' ');
}

function replaceBy(graph: Graph, node: Node, earlier: Node): boolean {
  return graph.replace(node, () => earlier);
}
