import { evaluateNode } from '../ir/evaluate.ts';
import type { Call, Constant } from '../ir/graph.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Pass } from '../ir/pass.ts';
import { isStatic, sizeOf } from '../ir/shape.ts';

/**
 * A repeated or padded constant may be of any size, also of one that no memory holds; up to this one it is computed: 16
 * heads' biases of 512 tokens, which MPNet's distances are spread over.
 */
const MAX_GROWN_ELEMENTS = 1 << 22;

/** True where the result is too large to keep in place of what makes it, or of a size known only at run time. */
function grows(node: Call, constants: readonly Constant[]): boolean {
  const { shape } = node.type;
  if (!isStatic(shape)) return true;
  const given = constants.reduce((total, { tensor }) => total + sizeOf(tensor.shape), 0);
  return sizeOf(shape) > Math.max(given, MAX_GROWN_ELEMENTS);
}

/** Computes what depends on constants only. */
export const foldConstants: Pass = {
  name: 'fold-constants',
  summary: 'op(constants)  ->  constant',
  keeps: 'bits',
  run(graph, context) {
    let rewrites = 0;
    for (const node of graph.nodes()) {
      if (node.op === 'input' || node.op === 'constant' || context.keeps(node)) continue;
      const constants = node.inputs.flatMap((input) => (input.op === 'constant' ? [input] : []));
      if (constants.length < node.inputs.length || !opDef(node.op).evaluate || grows(node, constants)) continue;
      const tensors = constants.map((constant) => evaluateNode(constant, [], {}));
      graph.replace(node, () => graph.constant(evaluateNode(node, tensors, {}), node.name));
      rewrites++;
    }
    return { rewrites, declined: [] };
  },
};
