import { evaluateNode } from '../evaluate.ts';
import { opDef } from '../ops/index.ts';
import type { Pass } from '../pass.ts';
import { isStatic } from '../shape.ts';

/** Computes what depends on constants only. */
export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'op(constants)  ->  constant',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || context.keeps(node)) continue;
      const tensors = node.inputs.flatMap((input) => (input.op === 'constant' ? [input.tensor] : []));
      if (tensors.length < node.inputs.length || !isStatic(node.type.shape) || !opDef(node.op).evaluate) continue;
      graph.replace(node, () => graph.constant(evaluateNode(node, tensors, {}), node.name));
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
