import type { Call, Graph, Node } from '../ir/graph.ts';
import { scalarOf } from '../ir/match.ts';
import type { Pass } from '../ir/pass.ts';
import { axisOf } from '../ir/shape.ts';
import { hasOneUse, projectionOf, rebuildPath } from './attention.ts';

/**
 * Walks from a softmax back to the scores q @ kᵀ, through a mask that is added and factors that are one number each. A
 * string says why the scores cannot be changed; null: there are none.
 */
export function scoresOf(graph: Graph, softmax: Call<'softmax'>): Call<'matmul'> | string | null {
  let node: Node | undefined = softmax.inputs[0];
  if (axisOf(softmax.attrs.axis, softmax.type.shape.length) !== softmax.type.shape.length - 1) return null;
  while (node && node.op !== 'matmul') {
    const [a, b] = node.inputs as readonly (Node | undefined)[];
    if (a === undefined || b === undefined || !hasOneUse(graph, node)) return null;
    if (node.op === 'add' || node.op === 'sub') node = leadsToScores(a) ? a : b;
    else if ((node.op === 'mul' || node.op === 'div') && scalarOf(b) !== null) node = a;
    else if (node.op === 'mul' && scalarOf(a) !== null) node = b;
    else return leadsToScores(node) ? 'the mask is not added to the scores' : null;
  }
  return node?.op === 'matmul' && node.attrs.transposeB && hasOneUse(graph, node) ? node : null;
}

/** Whether a matrix product goes into `node` through sums, products and quotients alone. */
function leadsToScores(node: Node): boolean {
  if (node.op === 'matmul') return true;
  return ['add', 'sub', 'mul', 'div'].includes(node.op) && node.inputs.some(leadsToScores);
}

/**
 * Drops the bias of attention's keys: q·(k_j + b) = q·k_j + q·b adds the same to a whole row of scores, which softmax
 * does not see.
 */
export const dropKeyBias: Pass = {
  name: 'drop-key-bias',
  summary: 'softmax(q @ (k + b) + mask)  ->  softmax(q @ k + mask)',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    const declined: string[] = [];
    for (const node of graph.nodes()) {
      if (node.op !== 'softmax' || context.keeps(node)) continue;
      const scores = scoresOf(graph, node);
      if (typeof scores === 'string') declined.push(`${node.name}: ${scores}`);
      if (scores === null || typeof scores === 'string') continue;
      const operand = scores.inputs[1] as Node;
      const key = projectionOf(graph, operand);
      if (!key?.linear.bias) continue;
      const { x, weight, node: linear } = key.linear;
      graph.replace(operand, () =>
        rebuildPath(graph, graph.add('linear', [x, weight], linear.attrs, linear.name), key.path),
      );
      rewrites++;
    }
    return { rewrites, declined };
  },
};
