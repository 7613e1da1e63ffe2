import { describe, expect, test } from 'vitest';
import { copyGraph } from '../../../src/ir/copy-graph.ts';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import type { Tensor } from '../../../src/ir/tensor.ts';
import { verifyGraph } from '../../../src/ir/verify-graph.ts';
import { selectPasses, type Target } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { litert } from '../../../src/runtimes/litert.ts';
import { onnxruntime } from '../../../src/runtimes/onnxruntime.ts';
import { onnxBytes } from '../../exporters/onnx-lab.ts';
import { bytesOf } from '../../exporters/tflite-lab.ts';
import { readManifest } from '../../models/corpus.ts';
import { largestError } from '../../runtimes/oracle.ts';
import { CASES, modelPath, openCase, worstDifference } from './cases.ts';

/** TensorFlow 2.18's interpreter, which made its oracle, computes only the first token of an int16 FULLY_CONNECTED with a bias. */
const BROKEN_ORACLE = 'tflite-qa-int16x8';

const SOUND = CASES.filter((name) => name !== BROKEN_ORACLE);

async function inRuntime(name: string, graph: Graph, target: Target): Promise<number> {
  await runPasses(graph, selectPasses(undefined, target));
  const session =
    target === 'onnx'
      ? await onnxruntime.load(await onnxBytes(graph), { threads: 1 })
      : await litert.load(await bytesOf(graph));
  try {
    return await worstDifference(name, graph, (feeds) => session.run(feeds));
  } finally {
    await session.close();
  }
}

describe.each(SOUND)('%s', (name) => {
  test('has no op that mbert does not know, and agrees with its oracle as it is imported', async () => {
    const graph = await openCase(name);
    verifyGraph(graph, 'import');
    expect(graph.nodes().filter((node) => node.op === 'foreign')).toEqual([]);
    expect(await worstDifference(name, graph, (feeds) => evaluate(graph, feeds))).toBeLessThanOrEqual(1);
  });

  test('agrees with its oracle raised, and after the default passes', async () => {
    const graph = await openCase(name);
    await raise(graph);
    expect(await worstDifference(name, graph, (feeds) => evaluate(graph, feeds)), 'raised').toBeLessThanOrEqual(1);
    await runPasses(graph, selectPasses(undefined, 'onnx'));
    expect(await worstDifference(name, graph, (feeds) => evaluate(graph, feeds)), 'passes').toBeLessThanOrEqual(1);
  });

  test('agrees with its oracle in ONNX Runtime, written again', async () => {
    const graph = await openCase(name);
    await raise(graph);
    expect(await inRuntime(name, graph, 'onnx')).toBeLessThanOrEqual(1);
  });
});

/** As it is imported or with its run-time sizes fixed: LiteRT's WebAssembly build takes fixed shapes only. */
const SIZES = { batch: 1, sequence: 32 };

test.each(SOUND)('%s agrees with its oracle in LiteRT, written again', async (name) => {
  const graph = copyGraph(await openCase(name), { bindings: SIZES });
  await raise(graph);
  expect(await inRuntime(name, graph, 'tflite')).toBeLessThanOrEqual(1);
});

describe(BROKEN_ORACLE, () => {
  test('is computed as LiteRT 2 computes it, not as its maker did', async () => {
    const graph = await openCase(BROKEN_ORACLE);
    const session = await litert.load(modelPath(BROKEN_ORACLE));
    const runs: ReadonlyMap<string, Tensor>[] = [];
    const oracle = await worstDifference(BROKEN_ORACLE, graph, async (feeds) => {
      runs.push(evaluate(graph, feeds), await session.run(feeds));
      return runs.at(-1) as ReadonlyMap<string, Tensor>;
    });
    await session.close();
    expect(oracle).toBeGreaterThan(10);
    const { tolerance } = readManifest(BROKEN_ORACLE);
    for (const { name } of graph.outputs) {
      for (let i = 0; i < runs.length; i += 2) {
        const [ours, theirs] = [runs[i]?.get(name), runs[i + 1]?.get(name) as Tensor];
        expect(largestError(ours, theirs)).toBeLessThan(tolerance[name]?.atol ?? 0);
      }
    }
  });
});
