import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/ir/graph.ts';
import { nodesByName } from '../../src/ir/nodes-by-name.ts';
import { hoistTokenSlice } from '../../src/passes/hoist-token-slice.ts';
import { after, graphOf } from '../core.ts';
import { CLASSIFIER } from './sample-graphs.ts';

/** Ops and shapes behind the pass, of those that compute more or less than before. */
const LINEAR = `graph g (x: f32[2, sequence, 4])
  up = linear(x, w f32[3, 4] #1)
  act = gelu(up)
  y = slice(act) {axis: 1, end: 1}`;

async function hoisted(text: string): Promise<string> {
  return after(hoistTokenSlice, text);
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
    // One token's heads are in order already.
    expect(text.match(/transpose\(/g)).toHaveLength(2);
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
    const shared = CLASSIFIER.replace(
      'stem = layerNorm(x,',
      'before = linear(x, Wb f32[4, 4] #3)\n  stem = layerNorm(before,',
    );
    const graph = graphOf(shared);
    const weightOf = (name: string) => nodesByName(graph).get(name)?.inputs[1] as Node;
    graph.replace(weightOf('before'), () => weightOf('q0'));
    await hoistTokenSlice.run(graph, { keeps: () => false });
    const shapeOf = (name: string) => nodesByName(graph).get(name)?.type.shape;
    expect(shapeOf('q0')).toEqual(['batch', 'sequence', 4]);
    expect(shapeOf('last')).toEqual(['batch', 1, 4]);
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
