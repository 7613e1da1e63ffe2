import { expect, test } from 'vitest';
import { countOperations } from '../../src/ir/operation-costs.ts';
import { graphOf } from '../core.ts';

const GRAPH = `graph g (x: f32[batch, sequence, 8], y: f32[batch, sequence, 8])
  wide = linear(x, w f32[16, 8] #1)  f32[batch, sequence, 16]
  scores = matmul(x, y) {transposeB: true}  f32[batch, sequence, sequence]
  act = gelu(wide)  f32[batch, sequence, 16]
return out: act, scores: scores`;

test('counts products by their sums, and other ops by the numbers that they give', () => {
  const { multiplyAdds, others } = countOperations(graphOf(GRAPH), { batch: 2, sequence: 5 }, 'onnx');
  expect(multiplyAdds).toBe(2 * 5 * 16 * 8 + 2 * 5 * 5 * 8);
  expect(others).toBe(2 * 5 * 16 * 38);
});

test('counts a convolution by its taps, and what only names a value not at all', () => {
  const graph = graphOf(`graph g (x: f32[1, 4, 8])
  y = conv1d(x, w f32[16, 3, 8] #1)  f32[1, 4, 16]
  z = reshape(y) {shape: [4, 16]}
return out: z`);
  expect(countOperations(graph, {}, 'onnx')).toEqual({ multiplyAdds: 4 * 16 * 3 * 8, others: 0 });
});

test('a norm costs more than what it folds into, in both runtimes', () => {
  const costOf = (op: string, runtime: 'onnx' | 'tflite') =>
    countOperations(
      graphOf(`graph g (x: f32[4, 8])
  y = ${op}(x, g f32[8] #1, b f32[8] #2)  f32[4, 8]
return out: y`),
      {},
      runtime,
    ).others;
  for (const runtime of ['onnx', 'tflite'] as const) {
    expect(costOf('layerNorm', runtime)).toBeGreaterThan(costOf('noNorm', runtime));
  }
});

test('refuses a symbol without a size', () => {
  expect(() => countOperations(graphOf(GRAPH), { batch: 2 }, 'onnx')).toThrow(
    expect.objectContaining({ code: 'MISMATCH' }),
  );
});
