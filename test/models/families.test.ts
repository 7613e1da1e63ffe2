import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Graph } from '../../src/ir/graph.ts';
import { runPasses } from '../../src/ir/pass.ts';
import { predictXnnpack } from '../../src/lint/lint-file.ts';
import { buildModel, describeModel } from '../../src/models/index.ts';
import { selectPasses } from '../../src/passes/index.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { quantize } from '../../src/pipelines/quantize/quantize.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { CHECKPOINTS, differences, fixture, openCheckpoint } from './corpus.ts';

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

test.each(CHECKPOINTS)('the task of %s is one that its family has', async (name) => {
  const { architecture, task } = describeModel(await openCheckpoint(name));
  expect(architecture.tasks).toContain(task);
});

test('a task that a family has no head for is refused with those that it has', async () => {
  const checkpoint = await openCheckpoint('family-nomicbert-base');
  expect(() => describeModel(checkpoint, 'qa')).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: '--task qa: nomic_bert models have no such head',
      hint: 'they have features, sequence-classification, token-classification, masked-lm',
    }),
  );
});

test('DeBERTa as optimum exports it is one XNNPACK partition at a fixed length', async () => {
  const output = join(folder, 'deberta-export.tflite');
  const source = join(unpacked('fixtures/family-deberta-v2-seqcls--opt'), 'model.onnx');
  await convert({ source, output, sequenceLength: 24 });
  expect(predictXnnpack(output)).toMatchObject({ partitions: 1, failures: [] });
});

// TFLite has no convolution with 4-bit weights: xlarge's has 8-bit ones.
test.each(['dynamic', 'w4'] as const)(
  'DeBERTa with a convolution stays one partition with %s weights',
  async (scheme) => {
    const output = join(folder, `convolution.${scheme}.tflite`);
    await quantize({ source: fixture('family-deberta-v2-conv'), output, scheme, sequenceLength: 24 });
    expect(predictXnnpack(output)).toMatchObject({ partitions: 1, failures: [] });
  },
);
