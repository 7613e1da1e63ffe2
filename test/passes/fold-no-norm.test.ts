import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { foldNoNorm } from '../../src/passes/fold-no-norm.ts';
import { after, graphOf, randomTensor } from '../core.ts';
import { MOBILEBERT_LAYER } from './sample-graphs.ts';
import { keepingValues } from './values.ts';

function logitsOf(graph: Graph): Float32Array {
  const feeds = new Map<string, Tensor>();
  graph.inputs.forEach((input, i) => {
    const shape = input.type.shape.map((dim) => (dim === 'batch' ? 2 : dim === 'sequence' ? 5 : (dim as number)));
    feeds.set(input.name, randomTensor({ dtype: input.type.dtype, shape }, 7 + i));
  });
  return readF32(evaluate(graph, feeds).get(graph.outputs[0]?.name ?? '') as Tensor);
}

async function expectSameValues(text: string): Promise<Graph> {
  const before = logitsOf(graphOf(text));
  const graph = graphOf(text);
  await runPasses(graph, [foldNoNorm]);
  const now = logitsOf(graph);
  before.forEach((value, i) => {
    expect(Math.abs(value - (now[i] as number))).toBeLessThan(2e-5);
  });
  return graph;
}

test('folds every norm of a layer into the linears around its streams', async () => {
  const graph = await expectSameValues(MOBILEBERT_LAYER);
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes()) counts.set(op, (counts.get(op) ?? 0) + 1);
  expect(counts.get('noNorm')).toBeUndefined();
  expect(counts.get('add')).toBe(1 + 3);
});

test('restores a hidden state that is an output by one mul and one add', async () => {
  await expect(
    await after(foldNoNorm, MOBILEBERT_LAYER.replace('return logits: h', 'return hidden: y')),
  ).toMatchFileSnapshot('golden/fold-no-norm-hidden.txt');
  await expectSameValues(MOBILEBERT_LAYER.replace('return logits: h', 'return hidden: y'));
});

test('keeps a mul where gamma is almost zero', async () => {
  const text = MOBILEBERT_LAYER.replace('ga f32[4] #11', 'ga f32[4] {1, 1e-6, -1, 0.5}');
  const graph = await expectSameValues(text);
  expect(graph.nodes().filter(({ op }) => op === 'mul').length).toBe(1 + 1 + 1);
});

describe('a gain next to nothing', () => {
  const norm = (gain: number) => `graph g (x: f32[batch, sequence, 4])
  n = noNorm(x, g f32[4] {1, -1, 1, ${gain}}, c f32[4] {0, 0, 0, 0})
  y = linear(n, w f32[1, 4] {1, 2, 3, 4})
return y: y`;

  test('is one of less than 2^-10 of the median', async () => {
    const folded = await keepingValues(foldNoNorm, norm(2 ** -10));
    expect(folded.report).toMatchObject({ rewrites: 1, declined: [] });
    const kept = await keepingValues(foldNoNorm, norm(-(2 ** -10.1)));
    expect(kept.report.declined).toEqual(['n: smallest |gamma| is 9.1e-4 of the median, kept as a mul']);
    expect(kept.text).toContain('= mul(x, n.scale');
  });
});

describe('a stream that norm after norm makes larger or smaller', () => {
  const chain = (first: number, second: number) => `graph g (x: f32[batch, sequence, 2])
  n1 = noNorm(x, g1 f32[2] {${first}, ${first}}, c1 f32[2] {0, 0})
  n2 = noNorm(n1, g2 f32[2] {${second}, ${second}}, c2 f32[2] {0, 0})
  y = linear(n2, w f32[1, 2] {${1 / first}, ${1 / second}})
return y: y`;

  test.each([
    [2 ** 20, 2 ** 19],
    [2 ** -20, 2 ** -19],
  ])('is folded up to 2^40: %d times %d', async (first, second) => {
    expect((await keepingValues(foldNoNorm, chain(first, second))).report).toMatchObject({ rewrites: 2, declined: [] });
  });

  test.each([
    [2 ** 20, 2 ** 20],
    [2 ** -20, 2 ** -20],
  ])('is scaled once before f32 comes to its limits: %d times %d', async (first, second) => {
    const graph = graphOf(chain(first, second));
    const [report] = await runPasses(graph, [foldNoNorm]);
    expect(report?.declined).toEqual(["n2: the stream's scale has drifted beyond 1099511627776, kept as a mul"]);
    expect(graph.nodes().map(({ op }) => op)).toContain('mul');
  });
});

describe('a norm of embeddings goes into what makes them', () => {
  const embeddings = (sum: string) => `graph g (x: f32[3, 5])
  l = linear(x, w f32[4, 5] #1, b f32[4] #2)
  ${sum}
  y = linear(n, v f32[2, 4] #3)
return y: y`;
  const norm = (of: string) => `n = noNorm(${of}, g f32[4] {2, -1, 1e-6, 3}, c f32[4] #4)`;

  test.each([
    ['a linear', norm('l')],
    ['a sum of sums', `p = linear(x, u f32[4, 5] #6)\n  r = add(l, p)\n  s = add(r, t f32[4] #5)\n  ${norm('s')}`],
    ['rows of a table', `p = slice(t f32[9, 4] #5) {axis: 0, end: 3}\n  ${norm('p')}\n  q = add(n, l)`],
    [
      'a sum with rows',
      `p = add(l, t f32[4] #5)\n  r = slice(u f32[9, 4] #6) {axis: 0, end: 3}\n  s = add(p, r)\n  ${norm('s')}`,
    ],
  ])('%s, with an addend once and no division by small gains', async (_, sum) => {
    const { graph, report } = await keepingValues(foldNoNorm, embeddings(sum));
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    expect(graph.nodes().filter(({ op }) => op === 'mul' || op === 'noNorm')).toEqual([]);
  });

  test.each([
    ['behind an activation', `a = linear(x, u f32[4, 5] #6) {activation: relu}\n  ${norm('a')}`],
    ['of some of its channels', `p = slice(l) {axis: 1, end: 4}\n  ${norm('p')}`],
    ['of some channels of a table', `p = slice(t f32[3, 6] #5) {axis: 1, end: 4}\n  ${norm('p')}`],
    ['that something else reads', `z = tanh(l)\n  ${norm('l')}\n  q = add(n, z)`],
  ])('not into one %s', async (_, sum) => {
    const text = embeddings(sum).replace('linear(n, v', sum.includes('q = ') ? 'linear(q, v' : 'linear(n, v');
    const { graph } = await keepingValues(foldNoNorm, text);
    expect(graph.nodes().map(({ op }) => op)).toContain('mul');
  });
});
