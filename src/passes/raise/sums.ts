import type { Graph, Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { hasOneUse } from '../attention.ts';

/** The two operands of a sum, else undefined. */
function terms(node: Node): readonly [Node, Node] | undefined {
  return node.op === 'add' && node.type.quant === undefined ? (node.inputs as readonly [Node, Node]) : undefined;
}

/** Whether two terms are the end of one norm: x∘gamma and beta, or x∘s and beta - mean∘s. */
function belongTogether(a: Node, b: Node): boolean {
  if (a.op !== 'mul') return false;
  if (b.op === 'constant') return a.inputs.some((factor) => factor.op === 'constant') && b.type.shape.length > 0;
  const [beta, moved] = b.op === 'sub' ? (b.inputs as readonly [Node, Node]) : [];
  if (beta?.op !== 'constant' || moved?.op !== 'mul') return false;
  return a.inputs.some((factor) => factor.op !== 'constant' && moved.inputs.includes(factor));
}

/**
 * Regroups (a + b) + c as a + (b + c), where b and c end one norm: TensorFlow's optimizer sums a residual and a norm's
 * last step in one go.
 */
function regrouped(graph: Graph, node: Node): Node | null {
  const [left, right] = terms(node) ?? [];
  if (left === undefined || right === undefined) return null;
  for (const [inner, c] of [
    [left, right],
    [right, left],
  ] as const) {
    const [a, b] = terms(inner) ?? [];
    if (a === undefined || b === undefined || !hasOneUse(graph, inner)) continue;
    for (const [residual, part] of [
      [a, b],
      [b, a],
    ] as const) {
      if (!belongTogether(part, c) && !belongTogether(c, part)) continue;
      return graph.add('add', [residual, graph.add('add', [part, c], {}, `${node.name}.norm`)], {}, node.name);
    }
  }
  return null;
}

export const raiseSums: Pass = {
  name: 'raise-sums',
  summary: '(a + x * gamma) + beta  ->  a + (x * gamma + beta)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (!context.keeps(node) && graph.replace(node, () => regrouped(graph, node))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
