import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { diffGraphs } from '../../src/diff/diff-graphs.ts';
import { graphText, parseGraph } from '../../src/ir/text.ts';
import { openModel } from '../../src/opened/open-model.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { diffModels } from '../../src/pipelines/diff/diff-models.ts';
import { openSide } from '../../src/pipelines/diff/sides.ts';
import { differenceText } from '../../src/reports/diff-words.ts';
import { ONNX_FIXTURES, unpack } from '../importers/onnx/fixtures.ts';
import { CASES, modelPath } from '../importers/tensorflow/cases.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { changedCheckpoint } from './checkpoints.ts';

const folder = temporaryFolder();

/** Of each architecture, head and format of weights one. */
const CHECKPOINTS = [
  'bert-mlm',
  'bert-seqcls',
  'distilbert-qa',
  'family-albert-pretraining',
  'family-bert-act-silu',
  'family-bert-relkeyquery',
  'family-deberta-v1-mlm',
  'family-deberta-v2-plain',
  'family-deberta-v2-seqcls',
  'family-electra-disc',
  'family-ernie-task',
  'family-gte-mlm',
  'family-megatron-seqcls',
  'family-modernbert-mean',
  'family-modernbert-qa',
  'family-mpnet-base',
  'family-nomicbert-mlm',
  'family-rembert-seqcls',
  'family-roberta-mc',
  'family-robertaprelayernorm-seqcls',
  'family-roformer-seqcls',
  'h5-qa-layernorm-gelu',
  'hf-multiplechoice',
  'hf-pretraining-bin',
  'hf-qa',
  'hf-qa-bottleneckattn-shared',
  'hf-qa-fp16',
  'hf-qa-layernorm-gelu',
  'hf-qa-nobottleneck',
  'hf-seqcls',
  'minilm-features',
  'tf1-ibbert-teacher-pretrain',
  'tf1-mobilebert-seqcls',
  'tinybert-seqcls',
];

describe('a checkpoint equals its exports', () => {
  test.each(CHECKPOINTS)('%s', async (name) => {
    const source = unpacked(`fixtures/${name}`);
    await convert({ source, output: join(folder, name) });
    for (const format of ['onnx', 'tflite']) {
      const { differences, constants, level } = await diffModels({
        a: source,
        b: join(folder, name, `model.${format}`),
      });
      expect(differences.map(differenceText), format).toEqual([]);
      expect(level).toBe('raised');
      expect(constants.equal).toBe(constants.compared);
      expect(constants.compared).toBeGreaterThanOrEqual(25);
    }
  });
});

/** Positions that are cut to the run's length, that count tokens, and MPNet's distances. */
test.each([
  ['bert-seqcls', 64],
  ['family-roberta-base', 64],
  ['family-mpnet-seqcls', 64],
  ['family-nomicbert-seqcls', 64],
])('%s equals its files of any length, which take %d tokens as it does', async (name, most) => {
  const source = unpacked(`fixtures/${name}`);
  for (const format of ['onnx', 'tflite']) {
    const output = join(folder, `${name}-any.${format}`);
    await convert({ source, output, sequenceLength: 'dynamic' });
    const { differences } = await diffModels({ a: source, b: output });
    expect(differences.map(differenceText), format).toEqual([]);
    const model = await openModel(output);
    expect(model.maxPositions, format).toBe(most);
    model.close();
  }
});

/** Distances and windows, which are counted where the length is open. */
test.each(['family-bert-relkeyquery', 'family-deberta-v2-seqcls', 'family-modernbert-mean'])(
  '%s equals its files of any length',
  async (name) => {
    const source = unpacked(`fixtures/${name}`);
    for (const format of ['onnx', 'tflite']) {
      const output = join(folder, `${name}-any.${format}`);
      await convert({ source, output, sequenceLength: 'dynamic' });
      const { differences } = await diffModels({ a: source, b: output });
      expect(differences.map(differenceText), format).toEqual([]);
    }
  },
);

/** Files that two tools, or two versions and settings of one, made of the same model. */
const SAME_MODEL = [
  ['onnx-qa-ts', 'onnx-qa-dynamo'],
  ['onnx-seqcls-ln-ts', 'onnx-seqcls-ln-ts17'],
  ['onnx-seqcls-ln-ts', 'onnx-seqcls-ln-dynamo20'],
  ['onnx-seqcls-ln-ts17', 'onnx-seqcls-ln-opset23'],
] as const;

/** Files of models that have nothing in common but their architecture: only weights and widths differ. */
const SAME_ARCHITECTURE = [
  ['onnx-qa-ts', 'onnx-qa-optimum'],
  ['onnx-qa-slim', 'onnx-qa-ts-tf5'],
  ['onnx-qa-ts', 'savedmodel-qa'],
  ['onnx-qa-slim', 'hf-qa-sharded'],
  ['onnx-qa-slim', 'onnx-qa-dynamo-sdpa'],
  ['onnx-qa-slim', 'onnx-qa-dynamo-static'],
  ['onnx-qa-slim', 'onnx-qa-ts-nofold'],
  ['onnx-qa-slim', 'onnx-qa-ts-static'],
  ['onnx-qa-slim', 'onnx-qa-external'],
  ['onnx-qa-slim', 'onnx-qa-floatdata'],
  ['onnx-qa-slim', 'onnx-qa-fp16'],
  ['savedmodel-qa', 'onnx-qa-optimum'],
  // TensorFlow's converter folds norms into the linears behind them, biases included.
  ['savedmodel-qa', 'tflite-qa-float32'],
  ['savedmodel-qa', 'tflite-qa-float16'],
  ['onnx-qa-ts', 'tflite-qa-float32'],
  ['tfjs-qa', 'tfjs-qa-float16'],
  ['tfjs-qa', 'tfjs-qa-uint8'],
] as const;

function pathOf(name: string): string {
  if (CASES.includes(name)) return modelPath(name);
  return ONNX_FIXTURES.includes(name) ? unpack(name) : unpacked(`fixtures/${name}`);
}

describe('other tools', () => {
  test.each(SAME_MODEL)('%s and %s wrote the same model', async (a, b) => {
    const { differences, paired } = await diffModels({ a: pathOf(a), b: pathOf(b), level: 'raised' });
    expect(differences.map(differenceText)).toEqual([]);
    expect(paired).toBeGreaterThan(80);
  });

  test.each(SAME_ARCHITECTURE)('%s and %s differ in weights, not in structure', async (a, b) => {
    const { counts, differences } = await diffModels({ a: pathOf(a), b: pathOf(b), level: 'raised' });
    expect(differences.filter(({ kind }) => kind === 'structure').map(differenceText)).toEqual([]);
    expect(counts.weights).toBeGreaterThan(30);
  });

  test('TF.js loses the names of outputs', async () => {
    const { differences } = await diffModels({ a: pathOf('onnx-qa-ts'), b: pathOf('tfjs-qa') });
    expect(differences.filter(({ kind }) => kind !== 'weights').map(differenceText)).toMatchInlineSnapshot(`
      [
        "output renamed: start_logits -> Identity_1",
        "output renamed: end_logits -> Identity",
      ]
    `);
  });

  test('freezing a SavedModel loses the names of its outputs and nothing else', async () => {
    const { differences } = await diffModels({ a: pathOf('savedmodel-qa'), b: pathOf('graphdef-qa'), level: 'raised' });
    expect(differences.map(differenceText)).toMatchInlineSnapshot(`
      [
        "output renamed: end_logits -> Identity",
        "output renamed: start_logits -> Identity_1",
      ]
    `);
  });
});

describe('graph text', () => {
  test.each([...ONNX_FIXTURES, ...CASES])('%s reads back as it was printed', async (name) => {
    const side = await openSide(pathOf(name), undefined);
    try {
      const text = graphText(side.graph);
      const known = parseGraph(`// a comment\n${text}`);
      expect(graphText(known)).toBe(text);
      expect(diffGraphs(known, side.graph).differences.map(differenceText)).toEqual([]);
    } finally {
      side.close();
    }
  });
});

test('a weight that was nudged before folding is found in the export', async () => {
  const name = 'mobilebert.encoder.layer.0.attention.self.query.weight';
  const nudged = changedCheckpoint('fixtures/hf-qa', join(folder, 'nudged'), (tensor, values) => {
    if (tensor === name) values[7] = (values[7] as number) + 0.01;
  });
  const { differences } = await diffModels({ a: nudged, b: join(folder, 'hf-qa', 'model.tflite') });
  expect(differences).toHaveLength(1);
  expect(differences[0]).toMatchObject({
    kind: 'weights',
    change: 'values',
    tensor: { a: 'mobilebert.encoder.layer.0.attention.self.query+key.weight' },
    error: { changed: 1 },
  });
});
