import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { evaluate } from '../../src/ir/evaluate.ts';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import type { NodeStatistics, StatisticsRequest } from '../../src/ir/statistics.ts';
import { convertTensor, readF32, type Tensor } from '../../src/ir/tensor.ts';
import { predictXnnpack } from '../../src/lint/lint-file.ts';
import { buildModel } from '../../src/models/index.ts';
import { passes, selectPasses } from '../../src/passes/index.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { differences, fixture, openCheckpoint, readArray, readManifest } from './corpus.ts';

const folder = temporaryFolder();

/** Each kind of attention and unit that BERT does not have. */
const FAMILIES = [
  'family-bert-relkey',
  'family-bert-relkeyquery',
  'family-deberta-v1-seqcls',
  'family-deberta-v2-conv',
  'family-deberta-v2-plain',
  'family-deberta-v2-seqcls',
  'family-gte-mlm',
  'family-modernbert-mean',
  'family-modernbert-qa',
  'family-nomicbert-seqcls',
  'family-roformer-seqcls',
];

const SHAPES = {
  'any length': { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' },
  'its length': { batch: 'batch', sequenceLength: 24, indexType: 'i64' },
} as const;

async function build(name: string, shape: keyof typeof SHAPES): Promise<Graph> {
  const checkpoint = await openCheckpoint(name);
  onTestFinished(() => checkpoint.close());
  return buildModel(checkpoint, SHAPES[shape]).graph;
}

/** What exact passes ask of calibration, from the fixture's own inputs: the ends of each channel. */
async function rangesOf(name: string, graph: Graph, requests: readonly StatisticsRequest[]) {
  const { inputs } = readManifest(name);
  const feeds = new Map(
    graph.inputs.map((input): [string, Tensor] => [
      input.name,
      convertTensor(readArray(name, inputs[input.name]?.file ?? ''), input.type.dtype),
    ]),
  );
  const nodes = requests.map(({ node }) => node);
  const values = evaluate(graph, feeds, nodes);
  return new Map(
    nodes.map((node): [string, NodeStatistics] => [node.name, statisticsOf(values.get(node.name) as Tensor)]),
  );
}

function statisticsOf(tensor: Tensor): NodeStatistics {
  const values = readF32(tensor);
  const width = tensor.shape.at(-1) as number;
  const [min, max] = [new Float64Array(width).fill(Infinity), new Float64Array(width).fill(-Infinity)];
  for (const [i, value] of values.entries()) {
    min[i % width] = Math.min(min[i % width] as number, value);
    max[i % width] = Math.max(max[i % width] as number, value);
  }
  const zeros = new Float64Array(width);
  const whole = { rows: values.length / width, min: Math.min(...min), max: Math.max(...max), mean: 0, rms: 1 };
  return { ...whole, channels: { min, max, mean: zeros, rms: zeros } };
}

describe.each(FAMILIES)('%s computes the same', (name) => {
  test.each(['onnx', 'tflite'] as const)(
    'behind the default passes for %s, at any length and at its own',
    async (target) => {
      for (const shape of ['any length', 'its length'] as const) {
        const graph = await build(name, shape);
        await runPasses(graph, selectPasses(undefined, target));
        for (const ratio of differences(name, graph).values()) expect(ratio, shape).toBeLessThan(0.2);
      }
    },
  );

  test('behind every exact pass that is asked for, calibrated on its inputs', async () => {
    const graph = await build(name, 'its length');
    const exact = passes.map(({ pass }) => pass).filter(({ keeps }) => keeps !== 'shapes');
    await runPasses(graph, exact, {
      keeps: () => false,
      statistics: (requests) => rangesOf(name, graph, requests),
    });
    for (const ratio of differences(name, graph).values()) expect(ratio).toBeLessThan(0.5);
  });
});

describe('drop-key-bias', () => {
  // q·(k + b) adds the same to a row of scores; k·Q(i - j) and turned keys do not.
  test.each([
    ['family-v-relkey', 'softmax sees whole rows', 2],
    ['family-bert-relkey', 'only queries score distances', 2],
    ['family-deberta-v2-plain', 'only queries score distances', 2],
    ['family-bert-relkeyquery', 'keys score distances', 0],
    ['family-deberta-v2-seqcls', 'keys score distances', 0],
    ['family-gte-mlm', 'keys are turned', 0],
    ['family-roformer-seqcls', 'keys are turned', 0],
    ['family-modernbert-qa', 'keys are turned', 0],
  ])('of %s, where %s, drops %i', async (name, _, dropped) => {
    for (const shape of ['any length', 'its length'] as const) {
      const graph = await build(name, shape);
      const reports = await runPasses(graph, selectPasses(undefined, 'onnx'));
      expect(reports.find(({ pass }) => pass.name === 'drop-key-bias')?.rewrites, shape).toBe(dropped);
    }
  });
});

test.each([
  'family-bert-relkeyquery',
  'family-deberta-v2-conv',
  'family-modernbert-mean',
  'family-gte-mlm',
  'family-roformer-seqcls',
])('%s is one XNNPACK partition at a fixed length', async (name) => {
  const output = join(folder, `${name}.tflite`);
  await convert({ source: fixture(name), output, sequenceLength: 24 });
  const { partitions, operators, failures } = predictXnnpack(output);
  expect([partitions, failures]).toEqual([1, []]);
  const left = operators.filter(({ partition }) => partition === undefined).map(({ code }) => code);
  expect([...new Set(left)].sort()).toEqual(['CAST', 'EMBEDDING_LOOKUP', 'RESHAPE']);
});
