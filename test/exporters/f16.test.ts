import { describe, expect, test } from 'vitest';
import { Graph } from '../../src/ir/graph.ts';
import { tensorOf } from '../../src/ir/tensor.ts';
import { onnxBytes, onnxText } from './onnx-lab.ts';
import { bytesOf } from './tflite-lab.ts';
import { decoded } from './tflite-quantized-lab.ts';

/** A linear with 32 inputs whose first weight is given, the others 0. */
function linearOf(rows: number, first = 1, columns = 32): Graph {
  const graph = new Graph('g');
  const values = new Float32Array(rows * columns);
  values[0] = first;
  const weight = graph.constant(tensorOf('f32', [rows, columns], values), 'w');
  graph.output('y', graph.add('linear', [graph.input('x', { dtype: 'f32', shape: [1, columns] }), weight]));
  return graph;
}

async function storedByTflite(graph: Graph): Promise<string | undefined> {
  const tensors = decoded(await bytesOf(graph, { dtype: 'f16' })).subgraphs?.[0]?.tensors ?? [];
  return tensors.find(({ name }) => name === 'w_f16' || name === 'w')?.type;
}

const storedByOnnx = (graph: Graph) => /^ {2}w (f\d\d)/m.exec(onnxText(graph, { dtype: 'f16' }))?.[1];

describe('f16 files', () => {
  test('hold weights of 1024 numbers and more as f16, smaller ones as f32', async () => {
    expect([await storedByTflite(linearOf(32)), storedByOnnx(linearOf(32))]).toEqual(['FLOAT16', 'f16']);
    expect([await storedByTflite(linearOf(33, 1, 31)), storedByOnnx(linearOf(33, 1, 31))]).toEqual(['FLOAT32', 'f32']);
  });

  test.each([65504, -65504])('hold %d, the largest that f16 has', async (value) => {
    await expect(onnxBytes(linearOf(32, value), { dtype: 'f16' })).resolves.toBeInstanceOf(Uint8Array);
    await expect(bytesOf(linearOf(32, value), { dtype: 'f16' })).resolves.toBeInstanceOf(Uint8Array);
  });

  test.each([65520, -65520, 1e30])('refuse %d, which would become infinite', async (value) => {
    await expect(onnxBytes(linearOf(32, value), { dtype: 'f16' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(bytesOf(linearOf(32, value), { dtype: 'f16' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
