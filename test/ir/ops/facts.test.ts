import { expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Call, Graph } from '../../../src/ir/graph.ts';
import { type OpName, opDef, ops } from '../../../src/ir/ops/index.ts';
import { readF32, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { isTokenWise, keepsChannels } from '../../../src/ir/token-wise.ts';
import { graphOf, randomTensor } from '../../core.ts';

const names = Object.keys(ops) as OpName[];

/** A line for each op that states a fact and has no row that shows it, or has one and does not state it. */
function unshown(table: string, states: (op: OpName) => boolean, rows: readonly string[]): string[] {
  return names
    .filter((op) => states(op) !== rows.includes(op))
    .map((op) => `${op}: ${states(op) ? 'states' : 'does not state'} what ${table} shows`);
}

/** Of tokens x and z f32[tokens, 4] and p bool[tokens, 4]. */
const TOKEN_WISE: { readonly [O in OpName]?: string } = {
  add: 'add(x, z)',
  and: 'and(p, c bool[4] {1, 0, 1, 0})',
  cast: 'cast(p) {to: f32}',
  compare: 'compare(x, z) {test: less}',
  concat: 'concat(x, z)',
  dequantize: 'dequantize(x)',
  div: 'div(x, z)',
  ceil: 'ceil(x)',
  cos: 'cos(x)',
  erf: 'erf(x)',
  gelu: 'gelu(x)',
  isNan: 'isNan(x)',
  layerNorm: 'layerNorm(x, g f32[4] #1, b f32[4] #2)',
  linear: 'linear(x, w f32[3, 4] #1, b f32[3] #2)',
  log: 'log(x)',
  maximum: 'maximum(x, z)',
  minimum: 'minimum(x, z)',
  mul: 'mul(x, z)',
  noNorm: 'noNorm(x, g f32[4] #1, b f32[4] #2)',
  normalize: 'normalize(x)',
  not: 'not(p)',
  or: 'or(p, c bool[4] {1, 0, 1, 0})',
  quantize: 'quantize(x) i8[tokens, 4] q(0.01, 0)',
  relu: 'relu(x)',
  rsqrt: 'rsqrt(x)',
  sigmoid: 'sigmoid(x)',
  slice: 'slice(x) {axis: -1, start: 1, end: 3}',
  softmax: 'softmax(x)',
  sin: 'sin(x)',
  sqrt: 'sqrt(x)',
  sub: 'sub(x, z)',
  tanh: 'tanh(x)',
  where: 'where(p, x, z)',
};

const TOKENS = 3;

function overTokens(call: string): Graph {
  return graphOf(`graph g (x: f32[tokens, 4], z: f32[tokens, 4], p: bool[tokens, 4]) y = ${call} return y: y`);
}

/** What a graph gives for all tokens at once, and for each by itself. */
function wholeAndParts(graph: Graph): { readonly whole: Float32Array; readonly parts: Float32Array } {
  const feeds = graph.inputs.map(({ name, type }, i) => {
    const values = randomTensor({ dtype: type.dtype, shape: [TOKENS, 4] }, i + 1);
    return [name, values] as const;
  });
  const run = (given: ReadonlyMap<string, Tensor>) => readF32(evaluate(graph, given).get('y') as Tensor);
  const token = ({ dtype, bytes }: Tensor, t: number): Tensor => {
    const length = bytes().byteLength / TOKENS;
    return { dtype, shape: [1, 4], bytes: () => bytes().subarray(t * length, (t + 1) * length) };
  };
  const parts = Array.from({ length: TOKENS }, (_, t) => [
    ...run(new Map(feeds.map(([name, values]) => [name, token(values, t)]))),
  ]);
  return { whole: run(new Map(feeds)), parts: Float32Array.from(parts.flat()) };
}

test('every op that computes each token by itself is shown to do so', () => {
  const isStated = (op: OpName) => opDef(op).tokens !== 'mixed';
  expect(unshown('TOKEN_WISE', isStated, Object.keys(TOKEN_WISE))).toEqual([]);
});

test.each(Object.values(TOKEN_WISE))('%s computes each token by itself', (call) => {
  const graph = overTokens(call);
  expect(isTokenWise(graph.outputs[0]?.node as Call)).toBe(true);
  const { whole, parts } = wholeAndParts(graph);
  expect(parts).toEqual(whole);
});

test.each([
  'dynamicRound(x)',
  'max(x) {axis: 0}',
  'mean(x) {axis: 0}',
  'shift(x) {axis: 0, offset: 1}',
  'slice(x) {axis: 0, start: 0, end: 1}',
  'softmax(x) {axis: 0}',
  'sum(x) {axis: 0}',
])('%s does not', (call) => {
  const graph = overTokens(call);
  expect(isTokenWise(graph.outputs[0]?.node as Call)).toBe(false);
  const { whole, parts } = wholeAndParts(graph);
  expect(parts).not.toEqual(whole);
});

/** Of x f32[2, 3, 4] and e f32[2, 3, 1]: a call that leaves channels together, and one that does not. */
const MOVES: { readonly [O in OpName]?: readonly [together: string, apart: string] } = {
  concat: ['concat(x, x) {axis: 0}', 'concat(x, x)'],
  expand: ['expand(x) {shape: [5, 2, 3, 4]}', 'expand(e) {shape: [2, 3, 4]}'],
  gather: ['gather(x, i i32[2] {1, 0})', 'gather(x, i i32[2] {1, 0}) {axis: 2}'],
  pad: ['pad(x) {before: [0, 1, 0], after: [1, 0, 0]}', 'pad(x) {before: [0, 0, 1], after: [0, 0, 0]}'],
  reshape: ['reshape(x) {shape: [6, 4]}', 'reshape(x) {shape: [2, 12]}'],
  shift: ['shift(x) {axis: 1, offset: 1}', 'shift(x) {axis: -1, offset: 1}'],
  slice: ['slice(x) {axis: 1, start: 1, end: 3}', 'slice(x) {axis: -1, start: 1, end: 3}'],
  transpose: ['transpose(x) {permutation: [1, 0, 2]}', 'transpose(x) {permutation: [0, 2, 1]}'],
};

/** Powers of two, with which f32 products are exact. */
const SCALE = [1, 2, 4, 8];

function scaled(values: Float32Array): Float32Array {
  return values.map((value, i) => value * (SCALE[i % SCALE.length] as number));
}

test('every op that moves elements is shown to do so', () => {
  expect(unshown('MOVES', (op) => opDef(op).moves !== undefined, Object.keys(MOVES))).toEqual([]);
});

test.each(Object.values(MOVES))('%s leaves the channels of a token together, %s does not', (together, apart) => {
  const [kept, broken] = [together, apart].map((call) =>
    graphOf(`graph g (x: f32[2, 3, 4], e: f32[2, 3, 1]) y = ${call} return y: y`),
  ) as [Graph, Graph];
  expect(keepsChannels(broken.outputs[0]?.node as Call)).toBe(false);
  expect(keepsChannels(kept.outputs[0]?.node as Call)).toBe(true);
  const { values, shape } = { shape: [2, 3, 4], values: Float32Array.from({ length: 24 }, (_, i) => i + 1) };
  const run = (given: Float32Array) =>
    readF32(evaluate(kept, feedsOf(kept, tensorOf('f32', shape, given))).get('y') as Tensor);
  const moved = run(values);
  expect([...moved].filter((value) => value !== 0 && !values.includes(value))).toEqual([]);
  expect(run(scaled(values))).toEqual(scaled(moved));
});

function feedsOf(graph: Graph, x: Tensor): ReadonlyMap<string, Tensor> {
  const unread = tensorOf('f32', [2, 3, 1], new Float32Array(6));
  return new Map(graph.inputs.map(({ name }) => [name, name === 'x' ? x : unread]));
}

/** Of x and z f32[2, 4]: a value, and what gives its channels the scale of `SCALE` without changing what is computed. */
const STREAMS: { readonly [O in OpName]?: readonly [plain: string, scaled: string] } = {
  add: ['y = add(x, z)', 'a = mul(x, d f32[4] {1, 2, 4, 8}) b = mul(z, d) y = add(a, b)'],
  conv1d: [
    'r = reshape(x) {shape: [1, 2, 4]} y = conv1d(r, w f32[4, 1, 4] #1, b f32[4] {1, 2, 3, 4})',
    'r = reshape(x) {shape: [1, 2, 4]} v = mul(w f32[4, 1, 4] #1, d f32[4, 1, 1] {1, 2, 4, 8}) y = conv1d(r, v, b f32[4] {1, 4, 12, 32})',
  ],
  linear: [
    'y = linear(x, w f32[4, 4] #1, b f32[4] {1, 2, 3, 4})',
    'v = mul(w f32[4, 4] #1, d f32[4, 1] {1, 2, 4, 8}) y = linear(x, v, b f32[4] {1, 4, 12, 32})',
  ],
  mul: ['y = mul(x, f f32[4] {1, 2, 3, 4})', 'y = mul(x, f f32[4] {1, 4, 12, 32})'],
  noNorm: [
    'y = noNorm(x, g f32[4] {1, 2, 3, 4}, b f32[4] {4, 3, 2, 1})',
    'y = noNorm(x, g f32[4] {1, 4, 12, 32}, b f32[4] {4, 6, 8, 8})',
  ],
};

test('every op that sums streams or gives them a scale is shown to do so', () => {
  const isStated = (op: OpName) => ['sum', 'affine'].includes(opDef(op).stream);
  expect(unshown('STREAMS', isStated, Object.keys(STREAMS))).toEqual([]);
});

test('what is moved along a stream keeps its channels together for some attributes', () => {
  expect(names.filter((op) => opDef(op).stream === 'moved' && opDef(op).moves === undefined)).toEqual([]);
});

test.each(Object.entries(STREAMS))('%s takes up the scale of channels', (_, [plain, other]) => {
  const [before, after] = [plain, other].map((body) => {
    const graph = graphOf(`graph g (x: f32[2, 4], z: f32[2, 4]) ${body} return y: y`);
    const feeds = graph.inputs.map(
      ({ name }, i) => [name, randomTensor({ dtype: 'f32', shape: [2, 4] }, i + 1)] as const,
    );
    return readF32(evaluate(graph, new Map(feeds)).get('y') as Tensor);
  }) as [Float32Array, Float32Array];
  expect(after).toEqual(scaled(before));
});
