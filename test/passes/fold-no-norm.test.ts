import { expect, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { foldNoNorm } from '../../src/passes/fold-no-norm.ts';
import { after, graphOf, randomTensor } from '../core.ts';
import { MOBILEBERT_LAYER } from './sample-graphs.ts';

function logitsOf(graph: Graph): Float32Array {
  const feeds = new Map<string, Tensor>();
  graph.inputs.forEach((input, i) => {
    const shape = input.type.shape.map((dim) => (dim === 'batch' ? 2 : dim === 'sequence' ? 5 : (dim as number)));
    feeds.set(input.name, randomTensor({ dtype: input.type.dtype, shape }, 7 + i));
  });
  return readF32(evaluate(graph, feeds).get(graph.outputs[0]?.name ?? '') as Tensor);
}

async function expectSameValues(text: string): Promise<Graph> {
  const before = logitsOf(graphOf(text));
  const graph = graphOf(text);
  await runPasses(graph, [foldNoNorm]);
  const now = logitsOf(graph);
  before.forEach((value, i) => {
    expect(Math.abs(value - (now[i] as number))).toBeLessThan(2e-5);
  });
  return graph;
}

test('folds every norm of a layer into the linears around its streams', async () => {
  const graph = await expectSameValues(MOBILEBERT_LAYER);
  const counts = new Map<string, number>();
  for (const { op } of graph.nodes()) counts.set(op, (counts.get(op) ?? 0) + 1);
  expect(counts.get('noNorm')).toBeUndefined();
  expect(counts.get('add')).toBe(1 + 3);
});

test('restores a hidden state that is an output by one mul and one add', async () => {
  await expect(
    await after(foldNoNorm, MOBILEBERT_LAYER.replace('return logits: h', 'return hidden: y')),
  ).toMatchFileSnapshot('golden/fold-no-norm-hidden.txt');
  await expectSameValues(MOBILEBERT_LAYER.replace('return logits: h', 'return hidden: y'));
});

test('keeps a mul where gamma is almost zero', async () => {
  const text = MOBILEBERT_LAYER.replace('ga f32[4] #11', 'ga f32[4] {1, 1e-6, -1, 0.5}');
  const graph = await expectSameValues(text);
  expect(graph.nodes().filter(({ op }) => op === 'mul').length).toBe(1 + 1 + 1);
});
