import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../src/ir/evaluate.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { onnxruntime } from '../../../src/runtimes/onnxruntime.ts';
import { onnxBytes } from '../../exporters/onnx-lab.ts';
import { readArray, readManifest } from '../../models/corpus.ts';
import { row } from '../../runtimes/oracle.ts';
import { importFixture, ONNX_FIXTURES } from './fixtures.ts';

type Run = (feeds: ReadonlyMap<string, Tensor>) => Promise<ReadonlyMap<string, Tensor>>;

/** The largest difference from the oracle for each output, as a multiple of what the manifest tolerates. */
async function differences(name: string, graph: Graph, run: Run): Promise<readonly number[]> {
  const { inputs, expected, tolerance } = readManifest(name);
  const given = graph.inputs.map((input) => [input.name, readArray(name, inputs[input.name]?.file ?? '')] as const);
  // A model with a fixed batch of one takes the oracle's batch row by row.
  const isStatic = graph.inputs[0]?.type.shape[0] === 1;
  const rows = isStatic ? Array.from({ length: given[0]?.[1].shape[0] ?? 0 }, (_, i) => i) : [undefined];
  const values = new Map(graph.outputs.map((output) => [output.name, [] as Float32Array[]]));
  for (const i of rows) {
    const feeds = new Map(given.map(([input, tensor]) => [input, i === undefined ? tensor : row(tensor, i)]));
    for (const [output, tensor] of await run(feeds)) values.get(output)?.push(readF32(tensor));
  }
  return graph.outputs.map((output) => {
    const wanted = readF32(readArray(name, expected[output.name]?.file ?? ''));
    const found = Float32Array.from(values.get(output.name)?.flatMap((part) => [...part]) ?? []);
    // Large outputs are stored for the first batch rows only.
    if (found.length < wanted.length) throw new Error(`${output.name} has ${found.length} values of ${wanted.length}`);
    let worst = 0;
    wanted.forEach((value, at) => {
      const difference = Math.abs(value - (found[at] as number));
      if (!(difference <= worst)) worst = difference;
    });
    return worst / (tolerance[output.name]?.atol ?? 0);
  });
}

const reference =
  (graph: Graph): Run =>
  async (feeds) =>
    evaluate(graph, feeds);

async function inOnnxRuntime(name: string, graph: Graph): Promise<readonly number[]> {
  const session = await onnxruntime.load(await onnxBytes(graph), { threads: 1 });
  try {
    return await differences(name, graph, (feeds) => session.run(feeds));
  } finally {
    await session.close();
  }
}

describe.each(ONNX_FIXTURES)('%s', (name) => {
  test('has no op that mbert does not know', async () => {
    const { graph } = await importFixture(name);
    expect(graph.nodes().filter((node) => node.op === 'foreign')).toEqual([]);
  });

  test('agrees with its oracle as it is imported', async () => {
    const { graph } = await importFixture(name);
    expect(Math.max(...(await differences(name, graph, reference(graph))))).toBeLessThanOrEqual(1);
  });

  test('agrees with its oracle raised, after the default passes, and written again', async () => {
    const { graph } = await importFixture(name);
    await raise(graph);
    expect(Math.max(...(await differences(name, graph, reference(graph)))), 'raised').toBeLessThanOrEqual(1);
    await runPasses(graph, selectPasses(undefined, 'onnx'));
    expect(Math.max(...(await differences(name, graph, reference(graph)))), 'passes').toBeLessThanOrEqual(1);
    expect(Math.max(...(await inOnnxRuntime(name, graph))), 'ONNX Runtime').toBeLessThanOrEqual(1);
  });
});
