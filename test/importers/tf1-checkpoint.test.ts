import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tf1Checkpoint } from '../../src/importers/tf1-checkpoint.ts';
import type { Constant } from '../../src/ir/graph.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel } from '../../src/models/index.ts';
import { badCase } from '../bad-case.ts';
import { changed, differences, openCheckpoint, readManifest, zeros } from '../models/corpus.ts';
import { type BadRow, expectAnswer } from './answers.ts';
import { openWeights } from './open.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** The manifests leave room for runtimes that sum in f32; the evaluator sums in f64. */
const LIMIT = 0.1;

/** What quantization-aware training rounds lies half-way between two steps now and then, and goes either way. */
const LIMITS: { readonly [name: string]: number } = { 'tf1-mobilebert-qat-qa': 0.5 };

/** Of the fixture's oracles the one that google's own code computes: its gelu is the approximation by tanh. */
const ORACLES: { readonly [name: string]: (output: string) => string } = {
  'tf1-googlebert-seqcls': (output) => `${output}_tanh`,
};

/** A pooler that the head does not read. */
const UNUSED = /^bert\/pooler\/dense\/(kernel|bias)$/;

const CASES = readdirSync('fixtures').filter((name) => /^(mini-)?tf1-/.test(name));

describe("computes what google's code computes", () => {
  test.each(CASES)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph, unused } = buildModel(checkpoint, DYNAMIC);
    verifyGraph(graph, 'import');
    const oracleOf = ORACLES[name];
    const ratios = differences(name, graph, oracleOf ? { oracleOf } : {});
    checkpoint.close();
    for (const [output, ratio] of ratios) expect(ratio, output).toBeLessThan(LIMITS[name] ?? LIMIT);
    expect(unused.filter((weight) => !UNUSED.test(weight))).toEqual([]);
  });

  const UNMASKED = CASES.filter((name) => readManifest(name).expected['nomask_start_logits'] !== undefined);

  test.each(UNMASKED)('%s, when no token is masked', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph } = buildModel(checkpoint, DYNAMIC);
    const oracleOf = (output: string) => (output === 'start_logits' ? 'nomask_start_logits' : output);
    const ratios = differences(name, graph, { oracleOf, masksNothing: true });
    checkpoint.close();
    expect(ratios.get('start_logits')).toBeLessThan(LIMITS[name] ?? LIMIT);
  });

  test('and masks in full where it is asked to', async () => {
    const checkpoint = await openCheckpoint('mini-tf1-qa');
    const ratioOf = (mask: 'faithful' | 'strict') =>
      differences('mini-tf1-qa', buildModel(checkpoint, { ...DYNAMIC, mask }).graph).get('start_logits');
    expect(ratioOf('faithful')).toBeLessThan(LIMIT);
    expect(ratioOf('strict')).toBeGreaterThan(1);
    checkpoint.close();
  });
});

describe('decides which code a checkpoint is from', () => {
  async function warningsOf(name: string, config: Readonly<Record<string, string | number>> = {}) {
    const checkpoint = await openCheckpoint(name);
    const { architecture, warnings } = buildModel(changed(checkpoint, {}, config), DYNAMIC);
    checkpoint.close();
    return { model: architecture.modelType, warnings };
  }

  test('by weights that only MobileBERT has', async () => {
    expect(await warningsOf('mini-tf1-qa')).toEqual({ model: 'mobilebert', warnings: [] });
  });

  test('by the keys of a config that BERT wrote', async () => {
    expect(await warningsOf('tf1-googlebert-seqcls')).toEqual({ model: 'bert', warnings: [] });
  });

  test('and warns where neither tells', async () => {
    const { model, warnings } = await warningsOf('tf1-bertlike-nobottleneck-qa');
    expect(model).toBe('mobilebert');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('bert_config.json: fits BERT and a MobileBERT without bottlenecks');
  });

  test('unless the config says so', async () => {
    const found = await warningsOf('tf1-bertlike-nobottleneck-qa', { model_type: 'bert' });
    expect(found).toEqual({ model: 'bert', warnings: [] });
  });
});

test('leaves out slots of the optimizer', async () => {
  const checkpoint = await openCheckpoint('tf1-mobilebert-seqcls');
  expect([...checkpoint.tensors.keys()].filter((name) => /adam|global_step/.test(name))).toEqual([]);
  checkpoint.close();
});

describe('quantization-aware training', () => {
  const RANGE = 'bert/encoder/layer_0/bottleneck/input/dense/MobileBertActFakeQuantWithMinMaxVars';

  test('keeps the ranges of what it computes as types, and rounds its weights', async () => {
    const checkpoint = await openCheckpoint('tf1-mobilebert-qat-qa');
    const nodes = buildModel(checkpoint, DYNAMIC).graph.nodes();
    const stored = nodes.filter(({ type }) => type.quant !== undefined);
    expect(new Set(stored.map(({ op, type }) => `${op} ${type.dtype}`))).toEqual(new Set(['quantize i8']));
    const query = nodes.find(
      ({ name }) => name === 'mobilebert.encoder.layer.0.attention.self.query.weight',
    ) as Constant;
    expect(new Set(readF32(query.tensor)).size).toBeLessThanOrEqual(255);
    checkpoint.close();
  });

  test.each<[what: string, ends: Readonly<Record<string, Tensor | undefined>>, problem: string]>([
    ['a range without an end', { [`${RANGE}/max`]: undefined }, `${RANGE}/max: the weight is missing`],
    ['a range of two numbers', { [`${RANGE}/max`]: zeros([2]) }, `${RANGE}/max: has shape [2], the config implies []`],
    [
      'a range of nothing',
      { [`${RANGE}/max`]: zeros([]), [`${RANGE}/min`]: zeros([]) },
      `${RANGE}/max: a range from 0 to 0`,
    ],
  ])('refuses %s', async (_, ends, problem) => {
    const checkpoint = await openCheckpoint('tf1-mobilebert-qat-qa');
    expect(() => buildModel(changed(checkpoint, ends), DYNAMIC)).toThrow(problem);
    checkpoint.close();
  });
});

test("problems are told in the file's own names", async () => {
  const checkpoint = await openCheckpoint('mini-tf1-qa');
  const kernel = 'bert/encoder/layer_0/attention/self/query/kernel';
  const renamed = changed(checkpoint, { [kernel]: undefined, [kernel.replace('query', 'qurey')]: zeros([16, 16]) });
  expect(() => buildModel(renamed, DYNAMIC)).toThrow(
    expect.objectContaining({
      message: `fixtures/mini-tf1-qa/model.ckpt.index: ${kernel}: the weight is missing`,
      hint: expect.stringContaining(`${kernel.replace('query', 'qurey')} is unused and has the shape of ${kernel}`),
    }),
  );
  checkpoint.close();
});

describe('finds', () => {
  test.each<[what: string, names: string[], found: string | undefined]>([
    [
      'the only index',
      ['bert_config.json', 'm.ckpt.data-00000-of-00001', 'm.ckpt.index', 'm.ckpt.meta'],
      'm.ckpt.index',
    ],
    ['the latest of several steps', ['m.ckpt-20.index', 'm.ckpt-100.index', 'm.ckpt-99.index'], 'm.ckpt-100.index'],
    ['the state file where it decides', ['checkpoint', 'm.ckpt-20.index', 'm.ckpt-100.index'], 'checkpoint'],
    ['a data file whose index is lost', ['m.ckpt.data-00000-of-00001'], 'm.ckpt.data-00000-of-00001'],
    ["nothing in a SavedModel's variables", ['variables.index', 'variables.data-00000-of-00001'], undefined],
    ['nothing elsewhere', ['model.safetensors.index.json', 'checkpoint', 'x.bin'], undefined],
  ])('%s', (_, names, found) => {
    expect(tf1Checkpoint.find(names)).toBe(found);
  });

  describe('from a file', () => {
    let folder = '';
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'mbert-'));
      cpSync('fixtures/mini-tf1-qa', folder, { recursive: true });
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    test.each(['model.ckpt.index', 'model.ckpt.data-00000-of-00001', 'checkpoint'])('%s', async (name) => {
      const { checkpoint } = await openWeights(join(folder, name));
      expect(checkpoint.path).toBe(join(folder, 'model.ckpt.index'));
      expect(checkpoint.origin).toBe('google');
      checkpoint.close();
    });

    test('a state file with a path of the machine of the training', async () => {
      writeFileSync(join(folder, 'checkpoint'), 'model_checkpoint_path: "gs://bucket/run/model.ckpt"\n');
      const { checkpoint } = await openWeights(join(folder, 'checkpoint'));
      expect(checkpoint.path).toBe(join(folder, 'model.ckpt.index'));
      checkpoint.close();
    });

    test('but no state file that leads elsewhere', async () => {
      writeFileSync(join(folder, 'checkpoint'), 'model_checkpoint_path: "../other/.."');
      await expect(openWeights(join(folder, 'checkpoint'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('and the config of transformers where there is no other', async () => {
      renameSync(join(folder, 'bert_config.json'), join(folder, 'config.json'));
      const { checkpoint } = await openWeights(folder);
      expect(checkpoint.configPath).toBe(join(folder, 'config.json'));
      checkpoint.close();
      rmSync(join(folder, 'config.json'));
      await expect(openWeights(folder)).rejects.toThrow('there is no bert_config.json beside it');
    });
  });
});

const BAD: readonly BadRow[] = [
  ['tf1-index-crc', 'MALFORMED', 'model.ckpt.index', 'checksum does not match'],
  ['tf1-index-badmagic', 'MALFORMED', 'model.ckpt.index', 'does not end as a TensorFlow index does'],
  ['tf1-index-truncated', 'MALFORMED', 'model.ckpt.index', 'does not end as a TensorFlow index does', 'cut off'],
  ['tf1-data-crc', 'MALFORMED', 'model.ckpt.data-00000-of-00001: bert/', 'checksum does not match'],
  ['tf1-data-truncated', 'MALFORMED', 'model.ckpt.data-00000-of-00001: ends at', 'cut off'],
  ['tf1-data-missing', 'NOT_FOUND', 'its data file model.ckpt.data-00000-of-00001 does not exist'],
  ['tf1-index-missing', 'NOT_FOUND', 'model.ckpt.index: is missing'],
];

describe('each damaged file gets its own answer', () => {
  test.each(BAD)('%s', (name, code, ...parts) => expectAnswer(badCase(name), code, parts));

  test('and the sound twin none', () => expectAnswer('fixtures/mini-tf1-qa', 'none', []));
});
