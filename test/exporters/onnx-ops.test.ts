import { describe, expect, test } from 'vitest';
import { lowerings } from '../../src/exporters/onnx/lowerings.ts';
import { onnxModel } from '../../src/exporters/onnx/model.ts';
import { onnx } from '../../src/exporters/onnx.ts';
import { ops } from '../../src/ops/index.ts';
import { graphOf } from '../core.ts';
import { expectAgreement } from './onnx-lab.ts';

const OPSETS = [13, 17, 18, 20, 21, 23];

/** A graph for each op, and more where an op has more than one form. */
const graphs: readonly (readonly [string, string])[] = [
  ['add', 'graph g (a: f32[batch, 1, 4], b: f32[3, 4]) y = add(a, b) return out: y'],
  ['add', 'graph g (a: i64[batch, 4]) y = add(a, c i64[1] {3}) return out: y'],
  ['cast', 'graph g (a: i64[batch, 4]) y = cast(a) {to: f32} return out: y'],
  ['cast', 'graph g (a: f32[batch, 4]) b = mul(a, c f32[] {9}) y = cast(b) {to: i64} return out: y'],
  ['cast', 'graph g (a: f16[batch, 4]) y = cast(a) {to: bf16} return out: y'],
  ['concat', 'graph g (a: f32[batch, 3, 4], b: f32[batch, 3, 2]) y = concat(a, b, a) return out: y'],
  ['conv1d', 'graph g (a: f32[batch, sequence, 4]) y = conv1d(a, w f32[5, 3, 4] #1, b f32[5] #2) return out: y'],
  ['conv1d', 'graph g (a: f32[batch, sequence, 4]) y = conv1d(a, w f32[5, 1, 4] #1) return out: y'],
  ['div', 'graph g (a: f32[batch, 4]) y = div(a, c f32[] {8}) return out: y'],
  ['erf', 'graph g (a: f32[batch, 4]) y = erf(a) return out: y'],
  ['gather', 'graph g (ids: i32[batch, sequence]) y = gather(table f32[4, 3] #1, ids) return out: y'],
  ['gather', 'graph g (a: f32[batch, sequence, 3]) y = gather(a, first i64[] {0}) {axis: 1} return out: y'],
  ['gelu', 'graph g (a: f32[batch, 4]) x = mul(a, c f32[] {4}) y = gelu(x) return out: y'],
  ['gelu', 'graph g (a: f32[batch, 4]) x = mul(a, c f32[] {4}) y = gelu(x) {tanh: true} return out: y'],
  [
    'layerNorm',
    'graph g (a: f32[batch, 3, 8]) y = layerNorm(a, g f32[8] #1, b f32[8] #2) {epsilon: 0.01} return out: y',
  ],
  ['linear', 'graph g (a: f32[batch, 4]) y = linear(a, w f32[3, 4] #1, b f32[3] #2) return out: y'],
  ['linear', 'graph g (a: f32[batch, 4]) y = linear(a, w f32[3, 4] #1) {activation: relu} return out: y'],
  [
    'linear',
    'graph g (a: f32[batch, 2, 4]) y = linear(a, w f32[3, 4] #1, b f32[3] #2) {activation: relu} return out: y',
  ],
  ['linear', 'graph g (a: f32[batch, 2, 4]) y = linear(a, w f32[3, 4] #1) return out: y'],
  ['linear', 'graph g (a: f32[4]) y = linear(a, w f32[3, 4] #1, b f32[3] #2) return out: y'],
  ['linear', 'graph g (a: f32[batch, 4], w: f32[3, 4]) y = linear(a, w) return out: y'],
  ['matmul', 'graph g (a: f32[batch, 2, 4], b: f32[batch, 4, 3]) y = matmul(a, b) return out: y'],
  ['matmul', 'graph g (a: f32[batch, 2, 4], b: f32[batch, 3, 4]) y = matmul(a, b) {transposeB: true} return out: y'],
  ['mean', 'graph g (a: f32[batch, 2, 4]) y = mean(a) return out: y'],
  ['mean', 'graph g (a: f32[batch, 2, 4]) y = mean(a) {axis: 1, keepDims: false} return out: y'],
  ['mul', 'graph g (a: f32[batch, 4]) y = mul(a, c f16[4] #1) return out: y'],
  ['noNorm', 'graph g (a: f32[batch, 4]) y = noNorm(a, g f32[4] #1, b f16[4] #2) return out: y'],
  ['pad', 'graph g (a: f32[batch, 2, 3]) y = pad(a) {before: [0, 1, 0], after: [0, 2, 3]} return out: y'],
  ['relu', 'graph g (a: f32[batch, 4]) y = relu(a) return out: y'],
  ['reshape', 'graph g (a: f32[batch, 4, 3]) y = reshape(a) {shape: [batch, 2, 6]} return out: y'],
  ['reshape', 'graph g (a: f32[batch, sequence, 4]) y = reshape(a) {shape: [batch*sequence, 4]} return out: y'],
  [
    'reshape',
    'graph g (a: f32[batch, sequence, 4]) f = reshape(a) {shape: [batch*sequence, 4]} y = reshape(f) {shape: [batch, sequence, 2, 2]} return out: y',
  ],
  ['reshape', 'graph g (a: f32[batch, sequence, 4]) y = reshape(a) {shape: [2*sequence, 2, batch]} return out: y'],
  ['rsqrt', 'graph g (a: f32[batch, 4]) x = add(a, c f32[] {2}) y = rsqrt(x) return out: y'],
  [
    'shift',
    'graph g (a: f32[batch, sequence, 4]) p = shift(a) {offset: 1} m = shift(a) {offset: -1} return p: p, m: m',
  ],
  ['shift', 'graph g (a: f32[batch, sequence, 4]) p = shift(a) {offset: 2} m = shift(a) {offset: 0} return p: p, m: m'],
  ['sigmoid', 'graph g (a: f32[batch, 4]) y = sigmoid(a) return out: y'],
  ['slice', 'graph g (a: f32[batch, 4]) y = slice(a) {axis: 1, start: 1, end: 3} return out: y'],
  [
    'slice',
    'graph g (ids: i64[batch, sequence]) y = slice(table f32[9, 2] #1) {axis: 0, start: 0, end: sequence} return out: y, ids: ids',
  ],
  [
    'slice',
    'graph g (a: f32[batch, 4]) l = slice(a) {axis: 1, start: 0, end: 3} r = slice(a) {axis: -1, start: 3, end: 4} return right: r, left: l',
  ],
  [
    'slice',
    'graph g (a: f32[batch, 4]) l = slice(a) {axis: 1, start: 0, end: 3} r = slice(a) {axis: 1, start: 2, end: 4} return right: r, left: l',
  ],
  ['softmax', 'graph g (a: f32[batch, 4, 2]) y = softmax(a) {axis: 1} return out: y'],
  ['sqrt', 'graph g (a: f32[batch, 4]) x = add(a, c f32[] {2}) y = sqrt(x) return out: y'],
  ['sub', 'graph g (a: f32[batch, 4]) y = sub(c f32[4] #1, a) return out: y'],
  ['tanh', 'graph g (a: f32[batch, 4]) y = tanh(a) return out: y'],
  ['transpose', 'graph g (a: f32[batch, 4, 2]) y = transpose(a) {permutation: [2, 0, 1]} return out: y'],
];

describe.each(OPSETS)('opset %i', (opset) => {
  test.each(graphs)('%s computes what the reference does: %s', async (_, text) => {
    await expectAgreement(graphOf(text), { batch: 3, sequence: 5 }, { opset });
  });
});

test('every op with a lowering has a graph here', () => {
  expect([...new Set(graphs.map(([op]) => op))].sort()).toEqual(Object.keys(lowerings).sort());
});

test('every op of the project has a lowering', () => {
  expect(Object.keys(lowerings).sort()).toEqual(Object.keys(ops).sort());
});

test.each(['shift', 'reshape', 'slice', 'conv1d'])('%s works on a single token', async (name) => {
  for (const [op, text] of graphs) {
    if (op === name && text.includes('sequence')) await expectAgreement(graphOf(text), { batch: 1, sequence: 1 });
  }
});

test.each([
  [12, 'USAGE'],
  [24, 'USAGE'],
  [17.5, 'USAGE'],
])('refuses opset %d', (opset, code) => {
  const graph = graphOf('graph g (a: f32[2]) y = relu(a) return out: y');
  expect(() => onnxModel(graph, { ...onnx.defaults, opset })).toThrow(expect.objectContaining({ code }));
});
