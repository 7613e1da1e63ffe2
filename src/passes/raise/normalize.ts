import type { Constant, Node } from '../../ir/graph.ts';
import { any, either, op, type Pattern, scalarOf, weight, where } from '../../ir/match.ts';
import { rewrite } from '../../ir/pass.ts';
import { axisOf } from '../../ir/shape.ts';
import { shortestDecimal } from '../../ir/tensor.ts';

const x = any('x');
const squares = where(op('sum', [op('mul', [x, x])], { keepDims: true }), 'over the last axis', (node) => {
  const rank = node.type.shape.length;
  return node.op === 'sum' && axisOf(node.attrs.axis, rank) === rank - 1;
});
const least = op('maximum', [squares, weight('square')]);

/** The norm as torch limits it, as TensorFlow limits its square, and with no limit. */
const norm = either(op('maximum', [op('sqrt', [squares]), weight('epsilon')]), op('sqrt', [either(least, squares)]));

interface NormalizeParts {
  readonly x: Node;
  readonly epsilon?: Constant;
  readonly square?: Constant;
}

/** With no limit, zeros give NaN in both forms. */
export const raiseNormalize = rewrite({
  name: 'raise-normalize',
  summary: 'x / max(sqrt(sum(x * x)), epsilon)  ->  normalize(x)',
  keeps: 'values',
  pattern: either(
    op('div', [x, norm]),
    op('mul', [x, op('rsqrt', [either(least, squares)])]),
  ) as Pattern<NormalizeParts>,
  replace(graph, parts, root) {
    const [epsilon, square] = [parts.epsilon, parts.square].map((limit) => limit && scalarOf(limit));
    if (epsilon === null || square === null) return 'the least norm is not one number';
    return graph.add(
      'normalize',
      [parts.x],
      { epsilon: shortestDecimal(epsilon ?? Math.sqrt(square ?? 0)) },
      root.name,
    );
  },
});
