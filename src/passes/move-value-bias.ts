import type { Pass } from '../ir/pass.ts';
import { perChannel, sum, timesVector, vectorTensor } from './affine.ts';
import { constantLinear, contextOf, contextWithoutBias, hasOneUse } from './attention.ts';

/**
 * Moves the bias of attention's values to the linear after attention: P (V + 1 bᵀ) = P V + 1 bᵀ, as every row of
 * softmax sums to 1, and then W (c + b_v) + b_o = W c + (b_o + W b_v).
 */
export const moveValueBias: Pass = {
  name: 'move-value-bias',
  summary: 'linear(softmax @ (v + b))  ->  linear(softmax @ v) with W b in its bias',
  keeps: 'values',
  run(graph, context) {
    let rewrites = 0;
    const declined: string[] = [];
    for (const node of graph.nodes()) {
      const linear = constantLinear(node);
      const attended = linear && hasOneUse(graph, linear.x) ? contextOf(graph, linear.x) : null;
      if (!linear || attended === null || context.keeps(node)) continue;
      if (typeof attended === 'string') {
        declined.push(`${node.name}: ${attended}`);
        continue;
      }
      const valueBias = attended.value.linear.bias;
      if (!valueBias) continue;
      const moved = timesVector(linear.weight.tensor, perChannel(valueBias.tensor));
      const bias = sum(moved, linear.bias ? perChannel(linear.bias.tensor) : null) ?? moved;
      graph.replace(node, () => {
        const x = contextWithoutBias(graph, attended);
        const biasNode = graph.constant(vectorTensor(bias), linear.bias?.name ?? `${node.name}.bias`);
        return graph.add('linear', [x, linear.weight, biasNode], linear.node.attrs, node.name);
      });
      rewrites++;
    }
    return { rewrites, declined };
  },
};
