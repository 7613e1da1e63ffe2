import { expect, test } from 'vitest';
import { runPasses } from '../../src/ir/pass.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { graphOf } from '../core.ts';
import { MOBILEBERT_LAYER } from '../passes/sample-graphs.ts';
import { expectAgreement, onnxText } from './onnx-lab.ts';

async function written(text: string) {
  const graph = graphOf(text);
  await runPasses(graph, selectPasses(undefined, 'onnx'));
  return graph;
}

test('a MobileBERT layer becomes Gemms, with every residual as a Gemm’s C and no norm left', async () => {
  const graph = await written(MOBILEBERT_LAYER);
  await expect(onnxText(graph)).toMatchFileSnapshot('golden/onnx-mobilebert-layer.txt');
  await expectAgreement(graph, { batch: 2, sequence: 5 });
});

test('the same layer of fixed size', async () => {
  const fixed = MOBILEBERT_LAYER.replaceAll('batch, ', '1, ').replaceAll('sequence', '6');
  const graph = await written(fixed);
  await expect(onnxText(graph)).toMatchFileSnapshot('golden/onnx-mobilebert-layer-fixed.txt');
  await expectAgreement(graph, {});
});
