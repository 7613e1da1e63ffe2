import { describe, expect, test } from 'vitest';
import { keepNothing } from '../../src/ir/pass.ts';
import { graphText } from '../../src/ir/text.ts';
import { flattenTokens } from '../../src/passes/flatten-tokens.ts';
import { after, graphOf } from '../core.ts';
import { MOBILEBERT_LAYER } from './sample-graphs.ts';

const flat = (text: string) => after(flattenTokens, text);

test('leaves no linear at rank 3 and reshapes only around attention and at the ends', async () => {
  const graph = graphOf(await flat(MOBILEBERT_LAYER));
  const nodes = graph.nodes();
  expect(nodes.filter(({ op, type }) => op === 'linear' && type.shape.length !== 2)).toEqual([]);
  expect(
    nodes
      .filter(({ op }) => op === 'reshape')
      .map(({ name, inputs, type }) => [name, inputs[0]?.name, type.shape.join(' ')]),
  ).toMatchInlineSnapshot(`
    [
      [
        "reshape_0",
        "x",
        "batch*sequence 8",
      ],
      [
        "q1",
        "q0",
        "batch sequence 2 2",
      ],
      [
        "k1",
        "k0",
        "batch sequence 2 2",
      ],
      [
        "bias",
        "m1",
        "batch 1 1 sequence",
      ],
      [
        "v1",
        "v0",
        "batch sequence 2 2",
      ],
      [
        "reshape_8",
        "o1",
        "batch*sequence 4",
      ],
      [
        "reshape_22",
        "h",
        "batch sequence 2",
      ],
    ]
  `);
});

test('keeps a stream flat from linear to linear', async () => {
  expect(
    await flat(`graph g (x: f32[batch, sequence, 4])
    h = linear(x, w1 f32[4, 4] #1, b f32[4] #2)
    n = layerNorm(h, g f32[4] #3, b f32[4] #2)
    u = linear(n, w2 f32[8, 4] #4)
    a = gelu(u)
    d = linear(a, w3 f32[4, 8] #5)
    s = add(d, n)
    m = noNorm(s, g f32[4] #3, b f32[4] #2)
    z = mul(m, half f32[] {0.5})
    left = slice(z) {axis: 2, start: 0, end: 2}
    right = slice(z) {axis: -1, start: 2, end: 4}
    swapped = concat(right, left)
  return hidden: swapped`),
  ).toMatchInlineSnapshot(`
    "graph g (x: f32[batch, sequence, 4])
      reshape_0 = reshape(x) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
      h = linear(reshape_0, w1 f32[4, 4] #3735e202, b f32[4] {0.4685019, -0.35000312, -0.4294079, 0.075910315})  f32[batch*sequence, 4]
      n = layerNorm(h, g f32[4] {0.44045356, -0.92267567, -0.08761562, -0.85014397}, b f32[4] {0.4685019, -0.35000312, -0.4294079, 0.075910315})  f32[batch*sequence, 4]
      u = linear(n, w2 f32[8, 4] #1016e1e2)  f32[batch*sequence, 8]
      a = gelu(u)  f32[batch*sequence, 8]
      d = linear(a, w3 f32[4, 8] #ded2ff41)  f32[batch*sequence, 4]
      s = add(d, n)  f32[batch*sequence, 4]
      m = noNorm(s, g f32[4] {0.44045356, -0.92267567, -0.08761562, -0.85014397}, b f32[4] {0.4685019, -0.35000312, -0.4294079, 0.075910315})  f32[batch*sequence, 4]
      z = mul(m, half f32[] {0.5})  f32[batch*sequence, 4]
      right = slice(z) {axis: -1, start: 2, end: 4}  f32[batch*sequence, 2]
      left = slice(z) {axis: -1, end: 2}  f32[batch*sequence, 2]
      swapped = concat(right, left)  f32[batch*sequence, 4]
      reshape_11 = reshape(swapped) {shape: [batch, sequence, 4]}  f32[batch, sequence, 4]
    return hidden: reshape_11"
  `);
});

test('goes from the flat projection to the heads, and back, in one reshape each', async () => {
  expect(
    await flat(`graph g (x: f32[batch, sequence, 4])
    q = linear(x, wq f32[4, 4] #1)
    qr = reshape(q) {shape: [batch, sequence, 2, 2]}
    qt = transpose(qr) {permutation: [0, 2, 1, 3]}
    c = matmul(qt, qt) {transposeB: true}
    p = softmax(c)
    o = matmul(p, qt)
    ot = transpose(o) {permutation: [0, 2, 1, 3]}
    or = reshape(ot) {shape: [batch, sequence, 4]}
    y = linear(or, wo f32[4, 4] #2)
    s = add(y, x)
  return y: s`),
  ).toMatchInlineSnapshot(`
    "graph g (x: f32[batch, sequence, 4])
      reshape_0 = reshape(x) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
      q = linear(reshape_0, wq f32[4, 4] #3735e202)  f32[batch*sequence, 4]
      qr = reshape(q) {shape: [batch, sequence, 2, 2]}  f32[batch, sequence, 2, 2]
      qt = transpose(qr) {permutation: [0, 2, 1, 3]}  f32[batch, 2, sequence, 2]
      c = matmul(qt, qt) {transposeB: true}  f32[batch, 2, sequence, sequence]
      p = softmax(c)  f32[batch, 2, sequence, sequence]
      o = matmul(p, qt)  f32[batch, 2, sequence, 2]
      ot = transpose(o) {permutation: [0, 2, 1, 3]}  f32[batch, sequence, 2, 2]
      reshape_2 = reshape(ot) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
      y = linear(reshape_2, wo f32[4, 4] #f29175b1)  f32[batch*sequence, 4]
      s = add(y, reshape_0)  f32[batch*sequence, 4]
      reshape_4 = reshape(s) {shape: [batch, sequence, 4]}  f32[batch, sequence, 4]
    return y: reshape_4"
  `);
});

describe('positions', () => {
  test('of every batch row are added before the tokens become flat', async () => {
    expect(
      await flat(`graph g (ids: i32[batch, sequence])
      e = gather(words f32[9, 4] #1, ids)
      cut = slice(table f32[1, 16, 4] #2) {axis: 1, start: 0, end: sequence}
      s = add(e, cut)
      n = layerNorm(s, g f32[4] #3, b f32[4] #4)
      y = linear(n, w f32[4, 4] #5)
      r = add(y, n)
    return y: r`),
    ).toMatchInlineSnapshot(`
      "graph g (ids: i32[batch, sequence])
        e = gather(words f32[9, 4] #51af5489, ids)  f32[batch, sequence, 4]
        cut = slice(table f32[1, 16, 4] #9548a9d4) {axis: 1, end: sequence}  f32[1, sequence, 4]
        s = add(e, cut)  f32[batch, sequence, 4]
        n = layerNorm(s, g f32[4] {0.44045356, -0.92267567, -0.08761562, -0.85014397}, b f32[4] {0.8472724, -0.33390823, -0.55666417, -0.83631796})  f32[batch, sequence, 4]
        reshape_0 = reshape(n) {shape: [batch*sequence, 4]}  f32[batch*sequence, 4]
        y = linear(reshape_0, w f32[4, 4] #873717ea)  f32[batch*sequence, 4]
        r = add(y, reshape_0)  f32[batch*sequence, 4]
        reshape_2 = reshape(r) {shape: [batch, sequence, 4]}  f32[batch, sequence, 4]
      return y: reshape_2"
    `);
  });

  test('of a batch of one become flat themselves', async () => {
    expect(
      await flat(`graph g (x: f32[1, 6, 4])
      e = linear(x, w f32[4, 4] #1)
      s = add(e, positions f32[1, 6, 4] #2)
      t = add(s, type f32[1, 1, 4] #3)
    return y: t`),
    ).toMatchInlineSnapshot(`
      "graph g (x: f32[1, 6, 4])
        reshape_0 = reshape(x) {shape: [6, 4]}  f32[6, 4]
        e = linear(reshape_0, w f32[4, 4] #3735e202)  f32[6, 4]
        s = add(e, positions f32[6, 4] #3be15f02)  f32[6, 4]
        t = add(s, type f32[4] {0.44045356, -0.92267567, -0.08761562, -0.85014397})  f32[6, 4]
        reshape_3 = reshape(t) {shape: [1, 6, 4]}  f32[1, 6, 4]
      return y: reshape_3"
    `);
  });
});

test('leaves the trigram, the first token and every other axis alone', async () => {
  const text = `graph g (x: f32[batch, sequence, 4])
    n = shift(x) {offset: 1}
    p = shift(x) {offset: -1}
    c = concat(n, x, p)
    first = gather(c, zero i64[] {0}) {axis: 1}
    head = linear(first, w f32[2, 12] #1)
    m = mean(c) {axis: 1}
    s = softmax(c) {axis: 1}
    g = gelu(c)
  return head: head, m: m, s: s, g: g`;
  expect(await flat(text)).toBe(graphText(graphOf(text)));
});

test('does not flatten the two neighbours of a token to join them to a flat one', async () => {
  const text = await flat(`graph g (x: f32[batch, sequence, 4])
    e = linear(x, w f32[4, 4] #1)
    n = shift(e) {offset: 1}
    p = shift(e) {offset: -1}
    c = concat(n, e, p)
    y = linear(c, v f32[4, 12] #2)
  return y: y`);
  expect(text).toContain('c = concat(n, reshape_1, p)');
  expect(text.match(/= reshape\(/g)).toHaveLength(4);
});

test('leaves alone what the user keeps, and says how often it changed the graph', () => {
  const graph = graphOf(`graph g (x: f32[batch, sequence, 4])
    a = linear(x, w f32[4, 4] #1)
    b = linear(a, w f32[4, 4] #1)
  return y: b`);
  expect(flattenTokens.run(graph, { keeps: ({ name }) => name === 'a' })).toEqual({ rewrites: 1, declined: [] });
  expect(graph.nodes().find(({ name }) => name === 'a')?.type.shape).toEqual(['batch', 'sequence', 4]);
  // The linear, and the reshape that was in front of the next one and now meets that behind this.
  expect(flattenTokens.run(graph, keepNothing)).toEqual({ rewrites: 2, declined: [] });
  expect(graph.nodes().map(({ op, type }) => `${op} ${type.shape.length}`)).toMatchInlineSnapshot(`
    [
      "input 3",
      "reshape 2",
      "constant 2",
      "linear 2",
      "linear 2",
      "reshape 3",
    ]
  `);
});
