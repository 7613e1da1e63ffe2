import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import { readF32 } from '../../src/ir/tensor.ts';
import { raiseNormalize } from '../../src/passes/raise/normalize.ts';
import { after, graphOf, randomTensor } from '../core.ts';

const SQUARES = `graph g (x: f32[3, 4])
  q = mul(x, x)
  s = sum(q)`;

/** What exporters leave of a norm, and the epsilon that it has. */
const FORMS: readonly (readonly [string, string, number])[] = [
  ['torch', 'n = sqrt(s) m = maximum(n, e f32[] {1e-12}) y = div(x, m)', 1e-12],
  ['numpy, with no limit', 'n = sqrt(s) y = div(x, n)', 0],
  ['TensorFlow, which limits the square', 'm = maximum(s, e f32[] {1e-12}) r = rsqrt(m) y = mul(x, r)', 1e-6],
  ['the limit of the square under a root', 'm = maximum(s, e f32[] {4}) n = sqrt(m) y = div(x, n)', 2],
];

test.each(FORMS)('finds the norm of %s', async (_, tail, epsilon) => {
  const graph = graphOf(`${SQUARES} ${tail} return out: y`);
  const feeds = new Map([['x', randomTensor({ dtype: 'f32', shape: [3, 4] }, 1)]]);
  const before = evaluate(graph, feeds).get('out');
  expect((await raiseNormalize.run(graph, { keeps: () => false })).rewrites).toBe(1);
  expect(graph.outputs[0]?.node).toMatchObject({ op: 'normalize', attrs: { epsilon } });
  const now = evaluate(graph, feeds).get('out');
  if (before === undefined || now === undefined) throw new Error('the graph has no output out');
  const values = readF32(now);
  for (const [i, value] of readF32(before).entries()) expect(values[i]).toBeCloseTo(value, 6);
});

test.each([
  [
    'the norm of another value',
    `${SQUARES.replace('x: f32[3, 4]', 'x: f32[3, 4], z: f32[3, 4]')} n = sqrt(s) y = div(z, n)`,
  ],
  ['a norm over another axis', `${SQUARES.replace('sum(q)', 'sum(q) {axis: 0}')} n = sqrt(s) y = div(x, n)`],
  ['a mean in place of a sum', `${SQUARES.replace('sum(q)', 'mean(q)')} n = sqrt(s) y = div(x, n)`],
])('leaves %s', async (_, text) => {
  const graph = graphOf(`${text} return out: y`);
  expect((await raiseNormalize.run(graph, { keeps: () => false })).rewrites).toBe(0);
  expect(graph.outputs[0]?.node.op).toBe('div');
});

test('declines a limit that is no number', () => {
  const text = `${SQUARES} n = sqrt(s) m = maximum(n, e f32[3, 1] {1, 2, 3}) y = div(x, m) return out: y`;
  return expect(after(raiseNormalize, text)).resolves.toContain('maximum');
});
