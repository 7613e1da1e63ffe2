import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { buildModel } from '../../../src/models/index.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { onnxBytes } from '../../exporters/onnx-lab.ts';
import { openCheckpoint, readArray, readManifest } from '../../models/corpus.ts';
import { importBytes } from './model.ts';

const OPSETS = [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23];

/** What counts as arithmetic: reshapes and slices around it depend on where tokens are flattened. */
const ARITHMETIC = ['linear', 'matmul', 'softmax', 'layerNorm', 'noNorm', 'gelu', 'relu', 'add', 'tanh'];

function arithmetic(graph: Graph): readonly (readonly [string, number])[] {
  const nodes = graph.nodes();
  return ARITHMETIC.map((op) => [op, nodes.filter((node) => node.op === op).length]);
}

async function built(name: string): Promise<Graph> {
  const checkpoint = await openCheckpoint(name);
  return buildModel(checkpoint, { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' }).graph;
}

describe.each(['mini-qa', 'hf-qa-layernorm-gelu', 'hf-qa-nonorm-gelunew'])('%s', (name) => {
  test.each(OPSETS)('written at opset %i and read again computes the same with the same ops', async (opset) => {
    const graph = await built(name);
    const { inputs } = readManifest(name);
    const feeds = new Map(Object.entries(inputs).map(([input, { file }]) => [input, readArray(name, file)]));
    const wanted = evaluate(graph, feeds);
    const counts = arithmetic(graph);
    const again = importBytes(await onnxBytes(graph, { opset }));
    await raise(again);
    expect(arithmetic(again)).toEqual(counts);
    for (const [output, tensor] of evaluate(again, feeds)) {
      const expected = readF32(wanted.get(output) as Tensor);
      readF32(tensor).forEach((value, i) => {
        expect(Math.abs(value - (expected[i] as number))).toBeLessThan(2e-5);
      });
    }
  });

  test('written after the passes and read again keeps its ops', async () => {
    const graph = await built(name);
    await runPasses(graph, selectPasses(undefined, 'onnx'));
    const again = importBytes(await onnxBytes(graph));
    await raise(again);
    // A relu is written behind its linear and taken in again by a pass.
    await runPasses(again, selectPasses(undefined, 'onnx'));
    expect(arithmetic(again)).toEqual(arithmetic(graph));
  });
});
