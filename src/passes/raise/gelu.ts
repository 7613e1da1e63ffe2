import { any, either, op, type Pattern, printedAs, scalar } from '../../ir/match.ts';
import { rewrite } from '../../ir/pass.ts';

/** Matches the product a b c, however the three are grouped. */
function product<A, B, C>(a: Pattern<A>, b: Pattern<B>, c: Pattern<C>): Pattern<A & B & C> {
  const grouped = either(
    op('mul', [op('mul', [a, b]), c]),
    op('mul', [op('mul', [a, c]), b]),
    op('mul', [op('mul', [b, c]), a]),
  ) as Pattern<A & B & C>;
  return printedAs(`product(${a.text}, ${b.text}, ${c.text})`, grouped);
}

const x = any('x');
const half = scalar(0.5);

const normalized = either(op('mul', [x, scalar(Math.SQRT1_2)]), op('div', [x, scalar(Math.SQRT2)]));
const byErf = product(x, half, op('add', [op('erf', [normalized]), scalar(1)]));

/**
 * The factor of the tanh's argument sqrt(2/π) (x + 0.044715 x³), which is written whole or as x sqrt(2/π) (1 + 0.044715
 * x²).
 */
const scale = scalar(Math.sqrt(2 / Math.PI));
const cubic = scalar(0.044715);
const square = op('mul', [x, x]);
const cube = op('mul', [square, x]);
const whole = op('mul', [op('add', [x, op('mul', [cube, cubic])]), scale]);
const factored = product(x, scale, op('add', [product(x, x, cubic), scalar(1)]));
const byTanh = product(x, half, op('add', [op('tanh', [either(whole, factored)]), scalar(1)]));

export const raiseGeluByErf = rewrite({
  name: 'raise-gelu',
  summary: 'x * 0.5 * (1 + erf(x / sqrt 2))  ->  gelu(x)',
  keeps: 'values',
  pattern: byErf,
  replace: (graph, found, root) => graph.add('gelu', [found.x], { tanh: false }, root.name),
});

export const raiseGeluByTanh = rewrite({
  name: 'raise-gelu-tanh',
  summary: 'x * 0.5 * (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))  ->  gelu(x) by tanh',
  keeps: 'values',
  pattern: byTanh,
  replace: (graph, found, root) => graph.add('gelu', [found.x], { tanh: true }, root.name),
});
