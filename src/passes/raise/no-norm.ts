import type { Constant } from '../../ir/graph.ts';
import { any, op, type Pattern, weight, where } from '../../ir/match.ts';
import { isFloat } from '../../ir/op.ts';
import { rewrite } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { hasOneUse } from '../attention.ts';
import { perChannelConstant } from './linear.ts';
import { moduleOf } from './names.ts';

/** Matches a constant with one number for each channel of the node bound as x, and no axes that x does not have. */
function perChannel<const N extends string>(name: N): Pattern<{ readonly [K in N]: Constant }> {
  return where(weight(name), 'with a number for each channel', (node, { x }) => {
    if (node.op !== 'constant' || x === undefined || x.op === 'constant') return false;
    const { shape } = node.tensor;
    const channels = x.type.shape.at(-1);
    return shape.at(-1) === channels && sizeOf(shape) === channels && shape.length <= x.type.shape.length;
  });
}

/** Matches floats: places and sizes are computed by products and sums of integers that look the same. */
const floats = where(any('x'), 'that is of floats', ({ type }) => isFloat(type.dtype));

/** Finds NoNorms. Runs after raise-layer-norm, as the last two steps of a layer norm look the same. */
export const raiseNoNorm = rewrite({
  name: 'raise-no-norm',
  summary: 'x * gamma + beta, one number a channel  ->  noNorm(x, gamma, beta)',
  keeps: 'values',
  pattern: op('add', [op('mul', [floats, perChannel('gamma')]), perChannel('beta')]),
  replace(graph, { x, gamma, beta }, root) {
    const product = root.inputs.find((input) => input.op === 'mul');
    if (!product || !hasOneUse(graph, product)) return 'the product has other uses';
    const [g, c] = [perChannelConstant(graph, gamma), perChannelConstant(graph, beta)];
    return graph.add('noNorm', [x, g, c], {}, moduleOf(c, root.name));
  },
});
