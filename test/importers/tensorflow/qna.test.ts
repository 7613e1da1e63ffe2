import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { parseJson } from '../../../src/formats/json.ts';
import { readTfjsModel } from '../../../src/formats/tfjs.ts';
import type { Graph } from '../../../src/ir/graph.ts';
import { runPasses } from '../../../src/ir/pass.ts';
import { sizeOf } from '../../../src/ir/shape.ts';
import { integerTensor, readF32, type Tensor } from '../../../src/ir/tensor.ts';
import { selectPasses } from '../../../src/passes/index.ts';
import { raise } from '../../../src/passes/raise/raise.ts';
import { onnxruntime } from '../../../src/runtimes/onnxruntime.ts';
import { random } from '../../core.ts';
import { onnxBytes } from '../../exporters/onnx-lab.ts';
import { openGraph, temporaryFolder } from './cases.ts';

/**
 * The graph of a public app, a 24-layer MobileBERT for SQuAD whose code is google-research's with a bottleneck for the
 * value as well. The weights are not public, so they come from a seed here; the integers are what the graph means.
 */
const INTEGERS: { readonly [name: string]: readonly number[] } = {
  'Reshape/shape/1': [512],
  'bert/embeddings/ExpandDims/dim': [-1],
  'bert/embeddings/Pad/paddings': [0, 0, 0, 1, 0, 0],
  'bert/embeddings/Pad_1/paddings': [0, 0, 1, 0, 0, 0],
  'bert/embeddings/concat/axis': [2],
  'bert/embeddings/embedding_lookup/axis': [0],
  'bert/embeddings/strided_slice_1/stack': [0, 1],
  'bert/embeddings/strided_slice_1/stack_1': [0, 0],
  'bert/embeddings/strided_slice_1/stack_2': [1, 1],
  'bert/embeddings/strided_slice_2/stack_1': [0, -1],
  'bert/encoder/layer_23/attention/self/query/Reshape_1/shape/2': [4],
  'bert/encoder/layer_23/attention/self/query/Reshape_1/shape/3': [32],
  'bert/encoder/layer_23/attention/self/transpose/perm': [0, 2, 1, 3],
  'bert/encoder/layer_23/intermediate/strided_slice_1/stack': [0],
  'bert/encoder/layer_23/intermediate/strided_slice_1/stack_1': [1],
  'bert/encoder/layer_23/output/bottleneck/dense/Reshape/shape/1': [128],
  'bert/encoder/ones/packed/2': [1],
  'mul/y': [384],
  'transpose/perm': [2, 0, 1],
};

const NUMBERS: { readonly [name: string]: number } = {
  'bert/encoder/layer_23/attention/self/Mul/y': 1 / Math.sqrt(32),
  'bert/encoder/layer_23/attention/self/mul_1/y': -10000,
  'bert/encoder/layer_23/attention/self/sub/x': 1,
};

function standIn(name: string, shape: readonly number[], next: () => number): Uint8Array {
  const integers = INTEGERS[name];
  if (integers) return integerTensor('i32', integers, shape).bytes();
  const number = NUMBERS[name];
  // Gammas around 1 keep the values of 24 layers together.
  const centre = name.endsWith('gamma') ? 1 : 0;
  return new Uint8Array(
    Float32Array.from({ length: sizeOf(shape) }, () => number ?? centre + (next() - 0.5) * 0.1).buffer,
  );
}

/** The app's model.json with weight files of the sizes that it names. */
function writeModel(): string {
  const folder = temporaryFolder();
  const json = gunzipSync(readFileSync('fixtures/tfjs-qna/model.json.gz'));
  writeFileSync(join(folder, 'model.json'), json);
  const [group] = readTfjsModel(parseJson(json.toString('utf8'), 'model.json'), 'model.json').groups;
  const next = random(1);
  const bytes = Buffer.concat((group?.weights ?? []).map(({ name, shape }) => standIn(name, shape, next)));
  const paths = group?.paths ?? [];
  const shard = Math.ceil(bytes.byteLength / paths.length);
  paths.forEach((path, i) => {
    writeFileSync(join(folder, path), bytes.subarray(i * shard, (i + 1) * shard));
  });
  return folder;
}

let graph: Graph;
beforeAll(async () => {
  graph = (await openGraph(writeModel())).graph;
});

function countsOf(graph: Graph): { readonly [op: string]: number } {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** MobileBERT has 15 linears and 8 norms a layer; the bottleneck of the value is one more of each. */
const LAYERS = 24;
const RAISED = {
  linear: 16 * LAYERS + 2,
  noNorm: 9 * LAYERS + 1,
  add: 7 * LAYERS + 2,
  softmax: LAYERS,
  matmul: 2 * LAYERS,
  relu: 4 * LAYERS,
  gather: 2,
  shift: 2,
};

/** Three bottlenecks in one linear, query and key in another. */
const AFTER = { linear: 13 * LAYERS + 2, add: 7 * LAYERS + 2, softmax: LAYERS, matmul: 2 * LAYERS };

test('imports without an op that mbert does not know, under the names of its signature', () => {
  const { foreign, expand } = countsOf(graph);
  // Google's mask is repeated by a product with ones.
  expect([foreign, expand]).toEqual([undefined, 1]);
  expect(graph.inputs.map(({ name, type }) => [name, type.dtype, type.shape])).toEqual([
    ['segment_ids', 'i32', ['batch', 384]],
    ['input_ids', 'i32', ['batch', 384]],
    ['input_mask', 'i32', ['batch', 384]],
  ]);
  expect(graph.outputs.map(({ name, node }) => [name, node.type.shape])).toEqual([
    ['start_logits', ['batch', 384]],
    ['end_logits', ['batch', 384]],
  ]);
});

test('raises to the ops of a MobileBERT, and converts', async () => {
  await raise(graph);
  expect(countsOf(graph)).toMatchObject(RAISED);
  const raised = await runOnnx(graph);
  await runPasses(graph, selectPasses(undefined, 'onnx'));
  const counts = countsOf(graph);
  expect(counts).toMatchObject(AFTER);
  expect([counts['noNorm'], counts['expand'], counts['relu']]).toEqual([undefined, undefined, undefined]);
  const converted = await runOnnx(graph);
  for (const [name, values] of raised) {
    const largest = Math.max(...values.map(Math.abs));
    const found = converted.get(name) as Float32Array;
    expect(Math.max(...values.map((value, i) => Math.abs(value - (found[i] as number))))).toBeLessThan(1e-4 * largest);
  }
});

async function runOnnx(model: Graph): Promise<ReadonlyMap<string, Float32Array>> {
  const next = random(2);
  const ids = (most: number): Tensor =>
    integerTensor(
      'i32',
      Array.from({ length: 384 }, () => Math.floor(next() * most)),
      [1, 384],
    );
  const mask = integerTensor(
    'i32',
    Array.from({ length: 384 }, (_, i) => Number(i < 100)),
    [1, 384],
  );
  const session = await onnxruntime.load(await onnxBytes(model), { threads: 1 });
  const results = await session.run(
    new Map([
      ['input_mask', mask],
      ['segment_ids', ids(2)],
      ['input_ids', ids(30522)],
    ]),
  );
  await session.close();
  return new Map([...results].map(([name, tensor]) => [name, readF32(tensor)]));
}
