import { describe, expect, test } from 'vitest';
import { Graph } from '../../src/ir/graph.ts';
import { type Quant, tensorOf } from '../../src/ir/tensor.ts';
import { randomTensor } from '../core.ts';
import { expectAgreement, onnxBytes, optimized } from './onnx-lab.ts';

const [ROWS, COLUMNS] = [24, 64];

/** relu(x Wᵀ + b) with W stored in 8 bits. */
function graphWith(quant: Quant): Graph {
  const graph = new Graph('stored');
  const x = graph.input('x', { dtype: 'f32', shape: ['tokens', COLUMNS] });
  const integers = Int8Array.from({ length: ROWS * COLUMNS }, (_, i) => ((i * 37) % 255) - 127);
  const stored = graph.constant(tensorOf('i8', [ROWS, COLUMNS], integers), 'w', quant);
  const bias = graph.constant(randomTensor({ dtype: 'f32', shape: [ROWS] }, 3), 'b');
  const weight = graph.add('dequantize', [stored], {}, 'w.real');
  const product = graph.add('linear', [x, weight, bias], { activation: 'none' }, 'product');
  graph.output('y', graph.add('relu', [product], {}, 'y'));
  return graph;
}

describe.each<[string, Quant]>([
  [
    'a scale per row',
    { per: 'channel', axis: 0, scales: Float32Array.from({ length: ROWS }, (_, i) => 0.01 + i / 1e3) },
  ],
  ['one scale', { per: 'tensor', scale: 0.02, zeroPoint: 0 }],
])('a weight in 8 bits with %s, multiplied as floats', (_, quant) => {
  const graph = graphWith(quant);

  test('has the values that it stands for', async () => {
    await expectAgreement(graph, { tokens: 5 });
  });

  test('takes a quarter of the room, and ONNX Runtime scales it once, when it loads the file', async () => {
    expect((await onnxBytes(graph)).byteLength).toBeLessThan(ROWS * COLUMNS + 2000);
    const { counts, bytes } = await optimized(graph);
    expect(counts).toEqual({ FusedGemm: 1 });
    expect(bytes).toBeGreaterThan(4 * ROWS * COLUMNS);
  });
});
