import type { Node } from '../../ir/graph.ts';
import type { Pass } from '../../ir/pass.ts';
import { realTensor } from '../../ir/quantized.ts';

/** Whether only integer kernels read a constant, which take it as it is stored: their results are quantized as well. */
function isForIntegers(node: Node): boolean {
  return [...node.users].every((user) => user.type.quant !== undefined);
}

/** Reads stored constants as the real numbers that they stand for, since passes compute with weights. */
export const raiseStoredConstants: Pass = {
  name: 'raise-stored-constants',
  summary: 'constant i8 with scales  ->  the f32 constant it stands for',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      const { quant } = node.type;
      if (node.op !== 'constant' || !quant || isForIntegers(node) || context.keeps(node)) continue;
      const { tensor, name } = node;
      if (graph.replace(node, () => graph.constant(realTensor(tensor, quant), name))) rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
