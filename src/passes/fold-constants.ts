import { evaluateNode } from '../ir/evaluate.ts';
import type { Call, Constant } from '../ir/graph.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Pass } from '../ir/pass.ts';
import { isStatic, sizeOf } from '../ir/shape.ts';

/**
 * The largest result that may have more elements than the constants it is computed from: a repeated or padded constant
 * may have any size, even one that no memory holds. It is that of 16 heads' biases of 512 tokens, which MPNet's
 * distances are spread over.
 */
const MAX_GROWN_ELEMENTS = 1 << 22;

/**
 * Whether the result is too large to be stored in place of the node that computes it, or of a size known only at run
 * time.
 */
function grows(node: Call, constants: readonly Constant[]): boolean {
  const { shape } = node.type;
  if (!isStatic(shape)) return true;
  const inputElements = constants.reduce((total, { tensor }) => total + sizeOf(tensor.shape), 0);
  return sizeOf(shape) > Math.max(inputElements, MAX_GROWN_ELEMENTS);
}

/** Computes nodes that depend on constants only. */
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
