import type { Constant, Node } from '../graph.ts';
import { any, op, weight } from '../match.ts';
import { rewrite } from '../pass.ts';
import { sizeOf } from '../shape.ts';
import { hasOneUse } from './attention.ts';
import { perChannelConstant } from './raise-linear.ts';
import { moduleOf } from './raise-names.ts';

/** One number for each channel of x, and no axes that x does not have. */
function isPerChannel(constant: Constant, x: Node): boolean {
  const { shape } = constant.tensor;
  const channels = x.type.shape.at(-1);
  return shape.at(-1) === channels && sizeOf(shape) === channels && shape.length <= x.type.shape.length;
}

/** After raise-layer-norm, whose last two steps look alike. */
export const raiseNoNorm = rewrite({
  name: 'raise-no-norm',
  summary: 'x * gamma + beta, one number a channel  ->  noNorm(x, gamma, beta)',
  keeps: 'values',
  pattern: op('add', [op('mul', [any('x'), weight('gamma')]), weight('beta')]),
  replace(graph, { x, gamma, beta }, root) {
    const product = root.inputs.find((input) => input.op === 'mul');
    if (x.op === 'constant' || !isPerChannel(gamma, x) || !isPerChannel(beta, x)) return 'is not one number a channel';
    if (!product || !hasOneUse(graph, product)) return 'the product has other uses';
    const [g, c] = [perChannelConstant(graph, gamma), perChannelConstant(graph, beta)];
    return graph.add('noNorm', [x, g, c], {}, moduleOf(c, root.name));
  },
});
