import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Constant, Graph } from '../../src/ir/graph.ts';
import { keepNothing, runPasses } from '../../src/ir/pass.ts';
import { readF32, tensorOf } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { equalizeStreams } from '../../src/passes/equalize-streams.ts';
import { applyGauges } from '../../src/passes/streams/apply-gauges.ts';
import { findStreams, rolesOf } from '../../src/passes/streams/streams.ts';
import { graphOf } from '../core.ts';
import { calibrated, channelStatistics, expectClose, keepingValues, nodeNamed, outputsOf } from './values.ts';

/** The names of the values that belong to one stream, stream by stream, and what blocks it. */
function streamsOf(text: string): string[] {
  return findStreams(graphOf(text), keepNothing).streams.map(({ values, obstacle }) =>
    [values.map(({ name }) => name).join(' '), ...(obstacle === undefined ? [] : [obstacle])].join(': '),
  );
}

describe('a stream', () => {
  const residual = (sum: string, more = '') => `graph g (x: f32[2, 5, 3])
  a = linear(x, wa f32[4, 3] #1, ba f32[4] #2)
  h = linear(a, wh f32[4, 4] #3)
  r = linear(a, wr f32[1, 4] #4)
  s = ${sum}
  ${more}
  y = linear(s, wy f32[2, 4] #5)
return y: y`;

  test('is what a sum joins and linears read', () => {
    expect(streamsOf(residual('add(a, h)'))).toEqual(['a h s']);
  });

  test('goes on behind a constant that is added', () => {
    expect(streamsOf(residual('add(a, h0)', '').replace('s =', 'h0 = add(h, c f32[4] #6)\n  s ='))).toEqual([
      'a h h0 s',
    ]);
  });

  test('does not come from a sum that adds one number to all channels', async () => {
    const text = residual('add(a, r)');
    expect(streamsOf(text)).toEqual([]);
    expect((await keepingValues(equalizeStreams, text, calibrated)).report).toMatchObject({
      rewrites: 0,
      declined: [],
    });
  });
});

describe('what reads a stream or writes it', () => {
  const around = (
    reader: string,
    writer = 'linear(x, wa f32[4, 3] #1, ba f32[4] {5, 0, -7, 1})',
  ) => `graph g (x: f32[2, 5, 3])
  a = ${writer}
  h = linear(a, wh f32[4, 4] #2)
  s = add(a, h)
  r = ${reader}
  y = linear(s, wy f32[2, 4] #3)
return y: y, r: r`;

  test.each([
    ['a slice of tokens', 'linear(t, wr f32[2, 4] #4)', '  t = slice(s) {axis: 1, end: 2}\n'],
    ['one number', 'linear(t, wr f32[2, 4] #4)', '  t = mul(s, k f32[] {0.5})\n'],
    ['a number for each channel', 'linear(t, wr f32[2, 4] #4)', '  t = mul(k f32[4] {1, 2, -3, 4}, s)\n'],
    ['tokens in another order', 'linear(t, wr f32[2, 4] #4)', '  t = transpose(s) {permutation: [1, 0, 2]}\n'],
  ])('lets it have any scale: %s', async (_, reader, moved) => {
    const text = around(reader).replace('  r = ', `${moved}  r = `);
    const { report } = await keepingValues(equalizeStreams, text, calibrated);
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
  });

  test.each([
    ['slice', 'slice(s) {axis: 2, end: 2}'],
    ['slice', 'slice(s) {axis: -1, start: 1, end: 4}'],
    ['transpose', 'transpose(s) {permutation: [0, 2, 1]}'],
    ['reshape', 'reshape(s) {shape: [2, 10, 2]}'],
    ['concat', 'concat(s, s) {axis: -1}'],
    ['conv1d', 'conv1d(s, wr f32[2, 3, 4] #4)'],
    ['tanh', 'tanh(s)'],
    ['matmul', 'matmul(s, s) {transposeB: true}'],
    ['mul', 'mul(s, k f32[5, 1] #4)'],
  ])('needs its real values: %s, as %s', async (op, reader) => {
    const { report } = await keepingValues(equalizeStreams, around(reader), calibrated);
    expect(report).toMatchObject({ rewrites: 0, declined: [`s: ${op} reads it`] });
  });

  test('gives it any scale but no offset behind a relu, which cuts off at zero', async () => {
    const text = around('linear(s, wr f32[2, 4] #4)', 'linear(x, wa f32[4, 3] #1, ba f32[4] #5) {activation: relu}');
    const { graph, report } = await keepingValues(equalizeStreams, text, calibrated);
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    expect(Math.min(...channelStatistics(graph, nodeNamed(graph, 'a')).min)).toBe(0);
  });
});

test('values are stored without an offset where scales stay as they are', () => {
  const text = `graph g (x: f32[2, 5, 3])
  a = linear(x, wa f32[4, 3] #1, ba f32[4] {5, 0, -7, 1})
  n = noNorm(a, g f32[4] #2, c f32[4] #3)
  y = linear(n, wy f32[2, 4] #4)
return y: y, a: a`;
  const graph = graphOf(text);
  const before = outputsOf(graph);
  const values = new Map([
    [nodeNamed(graph, 'a'), Float64Array.of(5, 1, -7, 2)],
    [nodeNamed(graph, 'n'), Float64Array.of(1, 2, 3, 4)],
  ]);
  applyGauges(graph, rolesOf(graph, keepNothing), new Map(), { values, constants: new Map() });
  verifyGraph(graph, 'gauges');
  expectClose(outputsOf(graph), before);
  const [bias] = nodeNamed(graph, 'a').inputs.slice(2) as [Constant];
  expect([...readF32(bias.tensor)]).toEqual([0, -1, 0, -1]);
});

describe('a convolution that writes a stream', () => {
  test.each([
    ['with a bias', ', ba f32[4] {5, 0, -7, 1}'],
    ['without one', ''],
  ])('%s takes off the middle of each channel', async (_, bias) => {
    const text = `graph g (x: f32[2, 5, 3])
  a = conv1d(x, wa f32[4, 3, 3] #1${bias})
  h = linear(a, wh f32[4, 4] #2)
  s = add(a, h)
  y = linear(s, wy f32[2, 4] #3)
return y: y`;
    const { graph, report } = await keepingValues(equalizeStreams, text, calibrated);
    expect(report).toMatchObject({ rewrites: 1, declined: [] });
    const { min, max } = channelStatistics(graph, nodeNamed(graph, 'a'));
    for (const [c, most] of max.entries()) expect(most + (min[c] as number)).toBeCloseTo(0, 5);
  });
});

describe('the scales of a stream', () => {
  /** Channel 0 is large in one token of fifty, the others are alike in all. */
  const x = Float32Array.from({ length: 50 * 4 }, (_, i) => Math.sin(i * 12.9898) * (i === 100 ? 0 : 1));
  x.forEach((value, i) => {
    if (i % 4 === 0) x[i] = i === 100 ? 40 : value;
  });
  const feeds = new Map([['x', tensorOf('f32', [50, 4], x)]]);

  async function readerAfter(bias: string): Promise<Graph> {
    const graph = graphOf(`graph g (x: f32[50, 4])
  a = linear(x, wa f32[4, 4] {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, ba f32[4] {${bias}})
  h = linear(a, wh f32[4, 4] #2)
  s = add(a, h)
  y = linear(s, wy f32[6, 4] #3)
return y: y`);
    const before = readF32(evaluate(graph, feeds).get('y') as never);
    await runPasses(graph, [equalizeStreams], calibrated(graph, feeds));
    const now = readF32(evaluate(graph, feeds).get('y') as never);
    for (const [i, value] of before.entries()) expect(now[i]).toBeCloseTo(value, 2);
    return graph;
  }

  test('do not depend on what is added to a channel everywhere: it is taken off', async () => {
    const weightOf = (graph: Graph) => readF32((nodeNamed(graph, 'y').inputs[1] as Constant).tensor);
    const plain = weightOf(await readerAfter('0, 0, 0, 0'));
    const moved = weightOf(await readerAfter('0, 90, 0, -60'));
    for (const [i, value] of moved.entries()) expect(value / (plain[i] as number)).toBeCloseTo(1, 2);
  });
});
