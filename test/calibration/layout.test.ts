import { describe, expect, test } from 'vitest';
import { tokenInputsOf } from '../../src/calibration/graph-session.ts';
import { layoutsOf } from '../../src/calibration/layout.ts';
import { collectStatistics } from '../../src/calibration/statistics.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { graphOf } from '../core.ts';

interface Sizes {
  readonly batch?: number | 'batch';
  readonly sequence: number;
  readonly heads: number;
  readonly size: number;
}

/** Everything that one layer and a pooled answer have an axis of tokens in, or none. */
function encoder({ batch = 1, sequence, heads, size }: Sizes): Graph {
  const hidden = heads * size;
  const tokens = batch === 'batch' ? `${sequence}*batch` : batch * sequence;
  return graphOf(`graph g (input_ids: i32[${batch}, ${sequence}], attention_mask: i32[${batch}, ${sequence}])
  embedded = gather(table f32[9, ${hidden}] #1, input_ids)
  flat = reshape(embedded) {shape: [${tokens}, ${hidden}]}
  projected = linear(flat, w f32[${2 * hidden}, ${hidden}] #2)
  part = slice(projected) {axis: -1, end: ${hidden}}
  split = reshape(part) {shape: [${batch}, ${sequence}, ${heads}, ${size}]}
  queries = transpose(split) {permutation: [0, 2, 1, 3]}
  keys = transpose(split) {permutation: [0, 2, 3, 1]}
  products = matmul(queries, keys)
  cut = cast(attention_mask) {to: f32}
  mask = reshape(cut) {shape: [${batch}, 1, 1, ${sequence}]}
  scores = add(products, mask)
  probabilities = softmax(scores)
  context = matmul(probabilities, queries)
  pairs = matmul(queries, context) {transposeB: true}
  headless = mean(context) {axis: 1, keepDims: false}
  turned = transpose(context) {permutation: [0, 2, 1, 3]}
  joined = reshape(turned) {shape: [${batch}, ${sequence}, ${hidden}]}
  front = shift(joined) {offset: -1}
  both = concat(joined, front)
  taken = slice(joined) {axis: 1, end: 1}
  first = reshape(taken) {shape: [${batch}, ${hidden}]}
  pooled = linear(first, v f32[${hidden}, ${hidden}] #3)
  average = mean(joined) {axis: 1, keepDims: false}
  sentences = reshape(joined) {shape: [${batch}, ${sequence * hidden}]}
return pooled: pooled, average: average, pairs: pairs, headless: headless, both: both, sentences: sentences`);
}

/** Axes that count tokens, by value. */
const TOKEN_AXES = {
  embedded: [1],
  split: [1],
  queries: [2],
  keys: [3],
  products: [2, 3],
  cut: [1],
  mask: [3],
  scores: [2, 3],
  probabilities: [2, 3],
  context: [2],
  pairs: [2, 3],
  headless: [1],
  turned: [1],
  joined: [1],
  front: [1],
  both: [1],
  taken: [],
  first: [],
  pooled: [],
  average: [],
};

function tokenAxesIn(graph: Graph, names: readonly string[]) {
  const layouts = layoutsOf(graph, tokenInputsOf(graph));
  const nodes = new Map(graph.nodes().map((node) => [node.name, node]));
  return Object.fromEntries(names.map((name) => [name, layouts(nodes.get(name) as never).tokenAxes]));
}

describe('axes of tokens are those that tokens came by', () => {
  test.each<[string, Sizes]>([
    ['are many', { sequence: 5, heads: 2, size: 3 }],
    ['are as many as heads', { sequence: 4, heads: 4, size: 2 }],
    ['are as many as a head is wide', { sequence: 3, heads: 2, size: 3 }],
    ['are as many as channels', { sequence: 6, heads: 2, size: 3 }],
    ['are as many as heads are, and as they are wide', { sequence: 2, heads: 2, size: 2 }],
    ['are as many as sequences', { batch: 4, sequence: 4, heads: 2, size: 3 }],
    ['are of any number of sequences', { batch: 'batch', sequence: 4, heads: 4, size: 2 }],
    ['are as many as everything else', { batch: 2, sequence: 2, heads: 2, size: 2 }],
  ])('where tokens %s', (_, sizes) => {
    expect(tokenAxesIn(encoder(sizes), Object.keys(TOKEN_AXES))).toEqual(TOKEN_AXES);
  });

  test('where tokens of all sequences are one axis', () => {
    for (const batch of [1, 4, 'batch'] as const) {
      // Of several sequences the batch is taken apart first; of any number, one is run.
      const axes = batch === 4 ? [1] : [0];
      const found = tokenAxesIn(encoder({ batch, sequence: 4, heads: 2, size: 2 }), ['flat', 'projected', 'part']);
      expect(found).toEqual({ flat: axes, projected: axes, part: axes });
    }
  });

  test('padding of all sequences in one axis is left out, whatever is behind that axis', async () => {
    const graphOfBatch = (batch: number) =>
      graphOf(`graph g (input_ids: i32[${batch}, 3])
  x = gather(table f32[4, 6] {9,9,9,9,9,9, 1,2,1,2,1,2, 3,4,3,4,3,4, 5,6,5,6,5,6}, input_ids)
  heads = reshape(x) {shape: [${3 * batch}, 3, 2]}
return y: heads`);
    const row = { inputIds: [1, 3], tokenTypeIds: [0, 0] };
    for (const batch of [1, 2]) {
      const graph = graphOfBatch(batch);
      const node = graph.outputs[0]?.node as never;
      const found = (await collectStatistics(graph, [{ node }], [row], { pad: 0, threads: 1 })).get('heads');
      expect([found?.rows, found?.max, found?.mean]).toEqual([6, 6, 3.5]);
    }
  });

  test('tokens side by side in one row are no axis', () => {
    const graph = encoder({ sequence: 4, heads: 2, size: 2 });
    expect(tokenAxesIn(graph, ['sentences'])).toEqual({ sentences: [] });
  });

  test('a mask between all pairs of tokens has two', () => {
    const graph = graphOf(`graph g (attention_mask: i32[1, 3])
  keys = cast(attention_mask) {to: f32}
  row = reshape(keys) {shape: [1, 1, 3]}
  column = reshape(keys) {shape: [1, 3, 1]}
  pairs = mul(column, row)
return pairs: pairs`);
    expect(tokenAxesIn(graph, ['row', 'column', 'pairs'])).toEqual({ row: [2], column: [1], pairs: [1, 2] });
  });

  test('tokens that are cut off at one end and filled up at the other are still there', () => {
    const graph = graphOf(`graph g (input_ids: i32[1, 3])
  x = gather(table f32[9, 2] #1, input_ids)
  tail = slice(x) {axis: 1, start: 1, end: 3}
  next = pad(tail) {before: [0, 0, 0], after: [0, 1, 0]}
  zero = mul(x, none f32[] {0})
  head = slice(zero) {axis: 1, end: 1}
  joined = concat(tail, head) {axis: 1}
return a: next, b: joined`);
    const axes = tokenAxesIn(graph, ['x', 'tail', 'next', 'head', 'joined']);
    expect(axes).toEqual({ x: [1], tail: [], next: [1], head: [], joined: [1] });
  });

  test('one token as often as there are tokens is no sequence', () => {
    const graph = graphOf(`graph g (input_ids: i64[1, 3])
  x = gather(table f32[9, 2] #1, input_ids)
  first = slice(x) {axis: 1, end: 1}
  thrice = concat(first, first, first) {axis: 1}
return y: thrice`);
    expect(tokenAxesIn(graph, ['first', 'thrice'])).toEqual({ first: [], thrice: [] });
  });

  test('one token that is looked up has none, several ids have', () => {
    const graph = graphOf(`graph g (input_ids: i32[1, 2])
  x = gather(table f32[9, 2] #1, input_ids)
  first = gather(x, at i32[] {0}) {axis: 1}
  pair = gather(x, at i32[2] {0, 0}) {axis: 1}
return a: first, b: pair`);
    expect(tokenAxesIn(graph, ['first', 'pair'])).toEqual({ first: [], pair: [] });
  });

  test('positions that no input has a part in are told by their place', () => {
    const graph = graphOf(`graph g (input_ids: i32[1, 3])
  positions = slice(table f32[8, 2] #1) {end: 3}
  x = gather(words f32[9, 2] #2, input_ids)
  sum = add(positions, x)
return a: sum`);
    expect(tokenAxesIn(graph, ['positions', 'sum'])).toEqual({ positions: [0], sum: [1] });
  });
});

test('a pooled value as wide as the sequence is long has statistics of all its channels', async () => {
  const graph = graphOf(`graph g (input_ids: i32[1, 3])
  x = gather(t f32[3, 3] {0, 0, 0, 1, -2, 3, 4, 5, -6}, input_ids)
  first = slice(x) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 3]}
return y: pooled`);
  const node = graph.outputs[0]?.node as never;
  const rows = [
    { inputIds: [1], tokenTypeIds: [0] },
    { inputIds: [2, 1], tokenTypeIds: [0, 0] },
  ];
  const found = await collectStatistics(graph, [{ node, channels: true }], rows, { pad: 0, threads: 1 });
  expect(found.get('pooled')).toMatchObject({
    rows: 2,
    min: -6,
    max: 5,
    channels: { min: Float64Array.of(1, -2, -6), max: Float64Array.of(4, 5, 3) },
  });
});
