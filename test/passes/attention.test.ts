import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/ir/graph.ts';
import { readF32 } from '../../src/ir/tensor.ts';
import { dropKeyBias } from '../../src/passes/drop-key-bias.ts';
import { foldAttentionScale } from '../../src/passes/fold-attention-scale.ts';
import { moveValueBias } from '../../src/passes/move-value-bias.ts';
import { keepingValues, nodeNamed } from './values.ts';

/** One attention of two heads of one channel; `scores` makes s of q, k and the mask, `out` reads the context c. */
function attention({
  scores = 'r = matmul(q, k) {transposeB: true}\n  s = add(r, mask)',
  query = '',
  probabilities = 'softmax(s)',
  out = 'linear(c, wo f32[2, 2] {1, 2, 3, 4}, bo f32[2] {5, 6})',
} = {}): string {
  return `graph g (x: f32[2, 3, 2], mask: f32[2, 1, 1, 3])
  q0 = linear(x, wq f32[2, 2] {1, 0, 0, 1}, bq f32[2] {1, 2})${query}
  q1 = reshape(q0) {shape: [2, 3, 2, 1]}
  q = transpose(q1) {permutation: [0, 2, 1, 3]}
  k0 = linear(x, wk f32[2, 2] {0, 1, 1, 0}, bk f32[2] {3, 4})
  k1 = reshape(k0) {shape: [2, 3, 2, 1]}
  k = transpose(k1) {permutation: [0, 2, 1, 3]}
  v0 = linear(x, wv f32[2, 2] {1, 1, 1, -1}, bv f32[2] {10, 20})
  v1 = reshape(v0) {shape: [2, 3, 2, 1]}
  v = transpose(v1) {permutation: [0, 2, 1, 3]}
  ${scores}
  p = ${probabilities}
  c0 = matmul(p, v)
  c1 = transpose(c0) {permutation: [0, 2, 1, 3]}
  c = reshape(c1) {shape: [2, 3, 2]}
  y = ${out}
return y: y`;
}

/** The numbers of a linear's weight, and of its bias where it has one. */
function constantsOf(graph: Graph, linear: string): number[][] {
  const [, ...constants] = nodeNamed(graph, linear).inputs;
  return constants.map((node) => (node.op === 'constant' ? [...readF32(node.tensor)] : []));
}

describe('fold-attention-scale', () => {
  const scaled = (scale: string) =>
    attention({ scores: `r0 = matmul(q, k) {transposeB: true}\n  r = ${scale}\n  s = add(r, mask)` });

  test.each([
    ['a factor of the scores', scaled('mul(r0, f f32[] {0.5})')],
    ['a factor that comes first', scaled('mul(f f32[] {0.5}, r0)')],
    ['a divisor of the scores', scaled('div(r0, f f32[] {2})')],
    [
      'a factor of the queries',
      attention({
        scores: 'q2 = mul(q, f f32[] {0.5})\n  r = matmul(q2, k) {transposeB: true}\n  s = add(r, mask)',
      }),
    ],
  ])('%s goes into weight and bias of the query', async (_, text) => {
    const { graph, report } = await keepingValues(foldAttentionScale, text);
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    expect(constantsOf(graph, 'q0')).toEqual([
      [0.5, 0, 0, 0.5],
      [0.5, 1],
    ]);
    expect(constantsOf(graph, 'k0')).toEqual([
      [0, 1, 1, 0],
      [3, 4],
    ]);
  });

  test('a number that is divided by the scores stays', async () => {
    const { report } = await keepingValues(
      foldAttentionScale,
      attention({ scores: 'r0 = matmul(q, k) {transposeB: true}\n  r = div(one f32[] {1}, r0)\n  s = add(r, mask)' }),
    );
    expect(report).toMatchObject({ rewrites: 0, declined: [] });
  });

  test('a query behind an activation keeps its scale, and the pass says so', async () => {
    const text = scaled('mul(r0, f f32[] {0.5})').replace('bq f32[2] {1, 2})', 'bq f32[2] {1, 2}) {activation: relu}');
    const { report } = await keepingValues(foldAttentionScale, text);
    expect(report).toMatchObject({ rewrites: 0, declined: ['r: what it scales is not a linear split into heads'] });
  });
});

describe('drop-key-bias', () => {
  test.each([
    ['a mask that is added', attention()],
    ['a mask that is added first', attention({ scores: 'r = matmul(q, k) {transposeB: true}\n  s = add(mask, r)' })],
    [
      'a divisor and a mask that is taken off',
      attention({
        scores: 'r0 = matmul(q, k) {transposeB: true}\n  r = div(r0, f f32[] {2})\n  s = sub(r, mask)',
      }),
    ],
  ])('behind %s takes the bias from the key, not from the query', async (_, text) => {
    const { graph, report } = await keepingValues(dropKeyBias, text);
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    expect(constantsOf(graph, 'k0')).toEqual([[0, 1, 1, 0]]);
    expect(constantsOf(graph, 'q0')).toEqual([
      [1, 0, 0, 1],
      [1, 2],
    ]);
  });

  test.each([
    ['softmax runs along the queries', { probabilities: 'softmax(s) {axis: 2}' }, []],
    [
      'scores are multiplied with the mask',
      { scores: 'r = matmul(q, k) {transposeB: true}\n  s = mul(r, mask)' },
      ['p: the mask is not added to the scores'],
    ],
    [
      'something else reads the scores',
      { scores: 'r = matmul(q, k) {transposeB: true}\n  s0 = add(r, mask)\n  s = add(s0, r)' },
      [],
    ],
  ])('leaves the key where %s', async (_, parts, declined) => {
    const { report } = await keepingValues(dropKeyBias, attention(parts));
    expect(report).toMatchObject({ rewrites: 0, declined });
  });
});

describe('move-value-bias', () => {
  test('the bias of the value goes through the linear behind attention', async () => {
    const { graph, report } = await keepingValues(moveValueBias, attention());
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    expect(constantsOf(graph, 'v0')).toEqual([[1, 1, 1, -1]]);
    // (1 2; 3 4) (10, 20) + (5, 6)
    expect(constantsOf(graph, 'y')).toEqual([
      [1, 2, 3, 4],
      [55, 116],
    ]);
  });

  test('a linear without a bias gets one', async () => {
    const { graph } = await keepingValues(moveValueBias, attention({ out: 'linear(c, wo f32[2, 2] {1, 2, 3, 4})' }));
    expect(constantsOf(graph, 'y')[1]).toEqual([50, 110]);
  });

  test('stays where rows need not sum to 1', async () => {
    const { report } = await keepingValues(moveValueBias, attention({ probabilities: 'sigmoid(s)' }));
    expect(report).toMatchObject({
      rewrites: 0,
      declined: ['y: the probabilities do not come straight from softmax'],
    });
  });
});
