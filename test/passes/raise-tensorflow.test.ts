import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { type Pass, runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { raiseExpand } from '../../src/passes/raise/expand.ts';
import { raiseNeutral } from '../../src/passes/raise/neutral.ts';
import { raiseReshape } from '../../src/passes/raise/reshape.ts';
import { raiseSoftmaxOffset } from '../../src/passes/raise/softmax-offset.ts';
import { raiseSums } from '../../src/passes/raise/sums.ts';
import { graphOf, randomTensor } from '../core.ts';

const SIZES: { readonly [symbol: string]: number } = { batch: 2, sequence: 3 };

function run(graph: Graph): Float32Array[] {
  const feeds = new Map<string, Tensor>(
    graph.inputs.map(({ name, type }, i) => {
      const shape = type.shape.map((dim) => (typeof dim === 'number' ? dim : (SIZES[dim] as number)));
      return [name, randomTensor({ dtype: type.dtype, shape }, 3 + i)];
    }),
  );
  const results = evaluate(graph, feeds);
  return graph.outputs.map(({ name }) => readF32(results.get(name) as Tensor));
}

/** The lines of the graph after a pass that must not change what it computes. */
async function after(pass: Pass, text: string): Promise<string[]> {
  const graph = graphOf(text);
  const before = run(graph);
  await runPasses(graph, [pass]);
  run(graph).forEach((values, i) => {
    const wanted = before[i] as Float32Array;
    expect(values.length).toBe(wanted.length);
    for (const [at, value] of values.entries()) expect(value).toBeCloseTo(wanted[at] as number, 5);
  });
  return graphText(graph)
    .split('\n')
    .slice(1, -1)
    .map((line) => line.trim());
}

interface Row {
  readonly what: string;
  readonly pass: Pass;
  readonly graph: string;
  readonly lines: readonly string[];
}

const rows: readonly Row[] = [
  {
    what: 'flat tokens around a linear, its activation and a vector',
    pass: raiseReshape,
    graph: `graph g (x: f32[batch, sequence, 4])
      flat = reshape(x) {shape: [batch*sequence, 4]}
      a = linear(flat, w f32[6, 4] #1)
      b = add(a, v f32[6] #2)
      c = relu(b)
      y = reshape(c) {shape: [batch, sequence, 6]}
    return y: y`,
    lines: [
      'a = linear(x, w f32[6, 4] #0350939a)  f32[batch, sequence, 6]',
      'b = add(a, v f32[6] #e2b43a4a)  f32[batch, sequence, 6]',
      'c = relu(b)  f32[batch, sequence, 6]',
    ],
  },
  {
    what: 'a matrix of joined heads gets its tokens back',
    pass: raiseReshape,
    graph: `graph g (x: f32[1, 3, 2, 4], r: f32[1, 3, 8])
      joined = reshape(x) {shape: [3, 8]}
      a = linear(joined, w f32[8, 8] #1)
      y = add(a, r)
    return y: y`,
    lines: [
      'joined = reshape(x) {shape: [1, 3, 8]}  f32[1, 3, 8]',
      'a = linear(joined, w f32[8, 8] #e7aed11c)  f32[1, 3, 8]',
      'y = add(a, r)  f32[1, 3, 8]',
    ],
  },
  {
    what: 'a look-up of flat ids',
    pass: raiseReshape,
    graph: `graph g (ids: i32[batch, sequence])
      flat = reshape(ids) {shape: [batch*sequence]}
      rows = gather(t f32[5, 2] #1, flat)
      y = reshape(rows) {shape: [batch, sequence, 2]}
    return y: y`,
    lines: ['rows = gather(t f32[5, 2] #e5804d4a, ids)  f32[batch, sequence, 2]'],
  },
  {
    what: 'a transpose of axes of size 1',
    pass: raiseReshape,
    graph: `graph g (x: f32[2, 3, 1])
      y = transpose(x) {permutation: [2, 0, 1]}
    return y: y`,
    lines: ['y = reshape(x) {shape: [1, 2, 3]}  f32[1, 2, 3]'],
  },
  {
    what: 'but not a reshape that splits heads',
    pass: raiseReshape,
    graph: `graph g (x: f32[2, 3, 4])
      s = reshape(x) {shape: [2, 3, 2, 2]}
      y = linear(s, w f32[2, 2] {1, 2, 3, 4})
    return y: y`,
    lines: [
      's = reshape(x) {shape: [2, 3, 2, 2]}  f32[2, 3, 2, 2]',
      'y = linear(s, w f32[2, 2] {1, 2, 3, 4})  f32[2, 3, 2, 2]',
    ],
  },
  {
    what: "google's mask, repeated by ones",
    pass: raiseExpand,
    graph: `graph g (m: f32[batch, 1, 3], s: f32[batch, 2, 3, 3])
      ones = expand(one f32[] {1}) {shape: [batch, 3, 1]}
      seen = mul(m, ones)
      apart = reshape(seen) {shape: [batch, 1, 3, 3]}
      padding = sub(one2 f32[] {1}, apart)
      low = mul(padding, least f32[] {-10000})
      y = add(s, low)
    return y: y`,
    lines: [
      'apart = reshape(m) {shape: [batch, 1, 1, 3]}  f32[batch, 1, 1, 3]',
      'padding = sub(one2 f32[] {1}, apart)  f32[batch, 1, 1, 3]',
      'low = mul(padding, least f32[] {-10000})  f32[batch, 1, 1, 3]',
      'y = add(s, low)  f32[batch, 2, 3, 3]',
    ],
  },
  {
    what: 'but not a repetition that nothing else makes',
    pass: raiseExpand,
    graph: `graph g (m: f32[1, 3], n: f32[1, 3])
      e = expand(m) {shape: [4, 3]}
      y = add(e, n)
    return y: y`,
    lines: ['e = expand(m) {shape: [4, 3]}  f32[4, 3]', 'y = add(e, n)  f32[4, 3]'],
  },
  {
    what: 'zeros that are added and ones that are multiplied',
    pass: raiseNeutral,
    graph: `graph g (x: f32[2, 3])
      a = add(x, zero f32[] {0})
      b = mul(ones f32[3] {1, 1, 1}, a)
      y = relu(b)
    return y: y`,
    lines: ['y = relu(x)  f32[2, 3]'],
  },
  {
    what: 'but not zeros of another shape, or 0 - x',
    pass: raiseNeutral,
    graph: `graph g (x: f32[3])
      a = add(x, zeros f32[1, 3] {0, 0, 0})
      y = sub(zero f32[] {0}, a)
    return y: y`,
    lines: ['a = add(x, zeros f32[1, 3] {0, 0, 0})  f32[1, 3]', 'y = sub(zero f32[] {0}, a)  f32[1, 3]'],
  },
  {
    what: 'a norm whose last step went into a sum of three',
    pass: raiseSums,
    graph: `graph g (x: f32[2, 3], r: f32[2, 3])
      scaled = mul(x, gamma f32[3] {1, 2, 3})
      both = add(r, scaled)
      y = add(beta f32[3] {4, 5, 6}, both)
    return y: y`,
    lines: [
      'scaled = mul(x, gamma f32[3] {1, 2, 3})  f32[2, 3]',
      'y.norm = add(scaled, beta f32[3] {4, 5, 6})  f32[2, 3]',
      'y = add(r, y.norm)  f32[2, 3]',
    ],
  },
  {
    what: 'what is added to all scores alike',
    pass: raiseSoftmaxOffset,
    graph: `graph g (s: f32[2, 3], m: f32[1, 3])
      masked = add(tiny f32[] {1e-9}, m)
      scores = add(s, masked)
      y = softmax(scores)
    return y: y`,
    lines: ['scores = add(s, m)  f32[2, 3]', 'y = softmax(scores)  f32[2, 3]'],
  },
  {
    what: 'but not what differs from score to score',
    pass: raiseSoftmaxOffset,
    graph: `graph g (s: f32[2, 3])
      scores = add(s, bias f32[3] {1, 2, 3})
      y = softmax(scores)
    return y: y`,
    lines: ['scores = add(s, bias f32[3] {1, 2, 3})  f32[2, 3]', 'y = softmax(scores)  f32[2, 3]'],
  },
];

describe('raises', () => {
  test.each(rows)('$what', async ({ pass, graph, lines }) => {
    expect(await after(pass, graph)).toEqual(lines);
  });
});
