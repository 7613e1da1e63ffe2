import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph, Node } from '../../src/ir/graph.ts';
import { nodesByName } from '../../src/ir/nodes-by-name.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { hoistTokenSlice } from '../../src/passes/hoist-token-slice.ts';
import { after, graphOf, randomTensor } from '../core.ts';
import { CLASSIFIER } from './sample-graphs.ts';

/** Ops and shapes behind the pass, of those that compute more or less than before. */
const LINEAR = `graph g (x: f32[2, sequence, 4])
  up = linear(x, w f32[3, 4] #1)
  act = gelu(up)
  y = slice(act) {axis: 1, end: 1}`;

async function hoisted(text: string): Promise<string> {
  return after(hoistTokenSlice, text);
}

/** Shapes of the classifier's values behind the pass, where a linear before its layer has the weight of one in it. */
async function hoistedBehindTwin(name: string) {
  const graph = graphOf(
    CLASSIFIER.replace('stem = layerNorm(x,', 'before = linear(x, Wb f32[4, 4] #3)\n  stem = layerNorm(before,'),
  );
  const weightOf = (linear: string) => nodesByName(graph).get(linear)?.inputs[1] as Node;
  graph.replace(weightOf('before'), () => weightOf(name));
  await hoistTokenSlice.run(graph, { keeps: () => false });
  return (value: string) => nodesByName(graph).get(value)?.type.shape;
}

describe('tokens that nobody reads are not computed', () => {
  test('in a feed-forward network', async () => {
    const text = await hoisted(`${LINEAR}\nreturn y: y`);
    expect(text).toContain('slice_0 = slice(x) {axis: 1, end: 1}  f32[2, 1, 4]');
    expect(text).toContain('up = linear(slice_0, ');
    expect(text).toContain('return y: act');
  });

  test('behind attention, whose keys and values keep all of them', async () => {
    const text = await hoisted(CLASSIFIER);
    const shapes = Object.fromEntries(
      [...text.matchAll(/^ {2}(\w+) = .* {2}f32(\[.*\])$/gm)].map(([, name, shape]) => [name, shape]),
    );
    expect(shapes).toMatchObject({
      k0: '[batch, sequence, 4]',
      v0: '[batch, sequence, 4]',
      q0: '[batch, 1, 4]',
      p: '[batch, 2, 1, sequence]',
      last: '[batch, 1, 4]',
    });
    // What is the same for all queries is not cut.
    expect(text).not.toContain('slice(mask)');
    // One token's heads are in order already.
    expect(text.match(/transpose\(/g)).toHaveLength(2);
  });
});

/** What a graph gives on seeded inputs, in a batch of 2 with 5 tokens. */
function valuesOf(graph: Graph): number[][] {
  const sizes: { readonly [symbol: string]: number } = { batch: 2, sequence: 5 };
  const feeds = new Map(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : (sizes[dim] as number)));
      return [name, randomTensor({ dtype: type.dtype, shape }, 7 + i)] as const;
    }),
  );
  const outputs = evaluate(graph, feeds);
  return graph.outputs.map(({ name }) => [...readF32(outputs.get(name) as Tensor)]);
}

describe('values stay what they are', () => {
  test.each([
    [
      'where each query has a mask of its own',
      CLASSIFIER.replace('mask: f32[batch, 1, 1, sequence]', 'mask: f32[batch, 1, sequence, sequence]'),
    ],
    [
      'where each query of each head has a bias',
      CLASSIFIER.replace('mask: f32[batch, 1, 1, sequence]', 'mask: f32[2, sequence, sequence]'),
    ],
    [
      'where weights alone are stored as integers',
      LINEAR.replace('f32[3, 4] #1', 'i8[3, 4] q(0.5, 0) #1').concat('\nreturn y: y'),
    ],
    [
      'where a term is the same for all tokens',
      CLASSIFIER.replace('o4 = add(o3, stem)', 'o5 = add(o3, stem)\n  o4 = add(o5, all f32[4] #d)'),
    ],
    [
      'where a value is read along two axes',
      `graph g (x: f32[2, 4, 4])
  v = linear(x, w f32[4, 4] #1)
  swapped = transpose(v) {permutation: [0, 2, 1]}
  both = add(v, swapped)
  up = linear(both, u f32[4, 4] #2)
  y = slice(up) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'where tokens are shared out behind the products',
      `graph g (x: f32[batch, sequence, 4])
  v = linear(x, w f32[4, 4] #1)
  halves = reshape(v) {shape: [batch, sequence, 2, 2]}
  up = linear(halves, u f32[2, 2] #2)
  y = slice(up) {axis: 1, end: 1}
return y: y`,
    ],
  ])('%s', async (_, text) => {
    const graph = graphOf(text);
    const before = valuesOf(graph);
    expect((await hoistTokenSlice.run(graph, { keeps: () => false })).rewrites).toBe(1);
    verifyGraph(graph, 'hoist-token-slice');
    expect(valuesOf(graph)).toEqual(before);
  });

  test('a mask of each query is cut to the queries that are left', async () => {
    const text = await hoisted(
      CLASSIFIER.replace('mask: f32[batch, 1, 1, sequence]', 'mask: f32[batch, 1, sequence, sequence]'),
    );
    expect(text).toMatch(/slice_\d+ = slice\(mask\) \{axis: 2, end: 1\} {2}f32\[batch, 1, 1, sequence\]/);
  });

  test('a value that is read along two axes is computed whole, and cut along each', async () => {
    const text = await hoisted(`graph g (x: f32[2, 4, 4])
  v = linear(x, w f32[4, 4] #1)
  swapped = transpose(v) {permutation: [0, 2, 1]}
  both = add(v, swapped)
  up = linear(both, u f32[4, 4] #2)
  y = slice(up) {axis: 1, end: 1}
return y: y`);
    expect(text).toContain('v = linear(x,');
    expect(text).toMatch(/slice\(v\) \{axis: 1, end: 1\}/);
    expect(text).toMatch(/slice\(v\) \{axis: 2, end: 1\}/);
  });
});

describe('tokens stay', () => {
  test.each([
    ['that an output has as well', `${LINEAR}\nreturn y: y, all: act`],
    ['that another node reads', `${LINEAR}\n  z = mean(act) {axis: 1}\nreturn y: y, z: z`],
    [
      'where no product is spared',
      'graph g (x: f32[2, sequence, 4])\n  a = relu(x)\n  y = slice(a) {axis: 1, end: 1}\nreturn y: y',
    ],
    [
      'where channels are cut',
      'graph g (x: f32[2, 3, 4])\n  a = linear(x, w f32[4, 4] #1)\n  y = slice(a) {axis: 2, end: 1}\nreturn y: y',
    ],
    [
      'where all are read',
      'graph g (x: f32[2, 1, 4])\n  a = linear(x, w f32[4, 4] #1)\n  y = slice(a) {axis: 1, end: 1}\nreturn y: y',
    ],
    [
      'that are joined with those of other texts',
      `graph g (x: f32[2, 3, 4])
  up = linear(x, w f32[4, 4] #1)
  joined = reshape(up) {shape: [6, 4]}
  y = slice(joined) {axis: 0, end: 1}
return y: y`,
    ],
    [
      'that are parts of other tokens',
      `graph g (x: f32[2, 3, 4])
  up = linear(x, w f32[4, 4] #1)
  parts = reshape(up) {shape: [2, 6, 2]}
  y = slice(parts) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'whose channels are what is cut',
      `graph g (x: f32[2, 4])
  up = linear(x, w f32[4, 4] #1)
  other = linear(x, v f32[4, 4] #2)
  apart = reshape(up) {shape: [2, 4, 1]}
  y = slice(apart) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'that are stored as integers',
      `graph g (x: f32[2, sequence, 4])
  q = quantize(x)  i8[2, sequence, 4] q(0.5, 0)
  up = linear(q, w i8[3, 4] q(0.5, 0) #1)  i8[2, sequence, 3] q(0.5, 0)
  y = slice(up) {axis: 1, end: 1}  i8[2, 1, 3] q(0.5, 0)
  real = dequantize(y)
return y: real`,
    ],
    [
      'that are computed of stored integers',
      `graph g (x: f32[2, sequence, 4])
  q = quantize(x)  i8[2, sequence, 4] q(0.5, 0)
  up = linear(q, w i8[3, 4] q(0.5, 0) #1)
  y = slice(up) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'where the slice is stored as integers',
      `graph g (x: f32[2, sequence, 4])
  up = linear(x, w f32[3, 4] #1)
  y = slice(up) {axis: 1, end: 1}  i8[2, 1, 3] q(0.5, 0)
  real = dequantize(y)
return y: real`,
    ],
    [
      'that one product is added to',
      `graph g (x: f32[2, sequence, 4], m: f32[1, 4])
  up = linear(m, w f32[4, 4] #1)
  sum = add(x, up)
  y = slice(sum) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'where texts are cut, each of which has a matrix of its own',
      `graph g (x: f32[4, sequence, 4], m: f32[4, 4, 3])
  c = matmul(x, m)
  y = slice(c) {axis: 0, end: 1}
return y: y`,
    ],
    [
      'whose shares are of all of them',
      `graph g (x: f32[2, sequence, 4])
  up = linear(x, w f32[4, 4] #1)
  p = softmax(up) {axis: 1}
  y = slice(p) {axis: 1, end: 1}
return y: y`,
    ],
    [
      'where how many are left is known at run time alone',
      `graph g (ids: i64[2, sequence], x: f32[2, 8, 4])
  up = linear(x, w f32[4, 4] #1)
  y = slice(up) {axis: 1, end: sequence}
return y: y`,
    ],
  ])('%s', async (_, text) => {
    const graph = graphOf(text);
    expect(await hoistTokenSlice.run(graph, { keeps: () => false })).toEqual({ rewrites: 0, declined: [] });
  });

  test('of nodes that --keep names', async () => {
    const graph = graphOf(`${LINEAR}\nreturn y: y`);
    const report = await hoistTokenSlice.run(graph, { keeps: ({ name }) => name === 'up' });
    expect(report.rewrites).toBe(0);
  });

  test('that share the range by which they are rounded at run time', async () => {
    const text = await hoisted(`graph g (x: f32[2, sequence, 4])
  rounded = dynamicRound(x)
  up = linear(rounded, w i8[3, 4] q(0.5, 0) #1)
  act = gelu(up)
  down = linear(act, v f32[2, 3] #2)
  y = slice(down) {axis: 1, end: 1}
return y: y`);
    expect(text).toContain('up = linear(rounded');
    expect(text).toContain('slice(up)');
  });

  test('in a query whose weights other layers share, so that the file holds them once', async () => {
    const shapeOf = await hoistedBehindTwin('q0');
    expect(shapeOf('q0')).toEqual(['batch', 'sequence', 4]);
    expect(shapeOf('last')).toEqual(['batch', 1, 4]);
  });

  test('but not in a linear of such weights that reads a value alone: it is joined with none', async () => {
    const shapeOf = await hoistedBehindTwin('o3');
    expect(shapeOf('o3')).toEqual(['batch', 1, 4]);
  });

  test('that are not the first', async () => {
    const graph = graphOf(`${LINEAR.replace('end: 1', 'start: 1, end: 2')}\nreturn y: y`);
    expect(await hoistTokenSlice.run(graph, { keeps: () => false })).toMatchObject({ rewrites: 0 });
  });

  test('before what mixes them', async () => {
    const text = await hoisted(`graph g (x: f32[2, sequence, 4])
  s = matmul(x, x) {transposeB: true}
  p = softmax(s)
  c = matmul(p, x)
  n = shift(c) {offset: 1}
  y0 = linear(n, w f32[3, 4] #1)
  y = slice(y0) {axis: 1, end: 1}
return y: y`);
    expect(text).toContain('n = shift(c) {offset: 1}  f32[2, sequence, 4]');
    expect(text).toContain('slice(n)');
  });
});
