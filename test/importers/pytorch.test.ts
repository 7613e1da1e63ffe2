import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { pytorch } from '../../src/importers/pytorch.ts';
import { verifyGraph } from '../../src/ir/verify-graph.ts';
import { buildModel } from '../../src/models/index.ts';
import { badCase } from '../bad-case.ts';
import { differences, openCheckpoint } from '../models/corpus.ts';
import { type BadRow, expectAnswer } from './answers.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

/** The manifests leave room for runtimes that sum in f32; the evaluator sums in f64. */
const LIMIT = 0.1;

const CASES = readdirSync('fixtures').filter(
  (name) =>
    existsSync(`fixtures/${name}/inputs`) &&
    readdirSync(`fixtures/${name}`).some((file) => file.startsWith('pytorch_model')),
);

/** What is said where a file is not plainly a state_dict. */
const NOTES: { readonly [name: string]: string } = {
  'hf-qa-bin-dataparallel': 'pytorch_model.bin: module.: taken from the names, as DataParallel puts it there',
  'hf-qa-bin-trainer': 'pytorch_model.bin: weights read from its model, the rest is left out',
};

/** Weights that are known and never applied. */
const UNUSED: { readonly [name: string]: readonly string[] } = {
  'hf-pretraining-bin': ['cls.predictions.bias'],
  'hf-qa-bin-oldnames': ['mobilebert.embeddings.position_ids'],
  'tinybert-seqcls': ['fit_dense.weight', 'fit_dense.bias'],
};

describe('computes what torch computes', () => {
  test.each(CASES)('%s', async (name) => {
    const checkpoint = await openCheckpoint(name);
    const { graph, warnings, unused } = buildModel(checkpoint, DYNAMIC);
    verifyGraph(graph, 'import');
    const ratios = differences(name, graph);
    checkpoint.close();
    for (const [output, ratio] of ratios) expect(ratio, output).toBeLessThan(LIMIT);
    expect(warnings).toEqual(NOTES[name] === undefined ? [] : [`fixtures/${name}/${NOTES[name]}`]);
    expect(unused).toEqual(UNUSED[name] ?? []);
  });
});

describe('finds', () => {
  test.each<[what: string, names: string[], found: string | undefined]>([
    ['the usual name', ['config.json', 'other.pt', 'pytorch_model.bin'], 'pytorch_model.bin'],
    [
      'the index of shards',
      ['pytorch_model-00001-of-00002.bin', 'pytorch_model.bin.index.json'],
      'pytorch_model.bin.index.json',
    ],
    ['a lone file of another name', ['best.pth', 'config.json', 'optimizer.pt', 'rng_state_0.pth'], 'best.pth'],
    ['none of several', ['a.pt', 'b.pt'], undefined],
    ['no weights of other tools', ['group1-shard1of1.bin', 'training_args.bin', 'model.onnx'], undefined],
  ])('%s', (_, names, found) => {
    expect(pytorch.find(names)).toBe(found);
  });
});

const BAD: readonly BadRow[] = [
  ['pkl-os-system-legacy', 'UNSUPPORTED', 'pickle names posix.system', 'executes nothing'],
  ['pkl-os-system-zip', 'UNSUPPORTED', 'pickle names posix.system', 'executes nothing'],
  ['pkl-eval', 'UNSUPPORTED', 'pickle names builtins.eval, which no weights need (offset 2)'],
  ['pkl-plain', 'MALFORMED', 'is a pickle, but no PyTorch checkpoint'],
  ['pkl-deep', 'MALFORMED', 'is nested deeper than 20000 values'],
  ['pkl-memo-bomb', 'MALFORMED', 'is a pickle, but no PyTorch checkpoint'],
  ['pkl-long-huge', 'MALFORMED', 'needs 4294967295 bytes at offset 7, 4 are left'],
  ['bin-legacy-truncated', 'MALFORMED', 'pytorch_model.bin: ends at', 'but storage', 'cut off'],
  ['bin-zip-truncated', 'MALFORMED', 'is a zip archive without a directory', 'cut off'],
  ['bin-is-html', 'MALFORMED', 'HTML page'],
  ['bin-is-lfs-pointer', 'MALFORMED', 'Git LFS pointer', 'git lfs pull'],
  ['bin-zip-bomb', 'MALFORMED', 'data/0: has 268435456 bytes, its storage takes 3840'],
  ['bin-zip-missing-storage', 'MALFORMED', 'data/3: the storage is not in the archive'],
  ['bin-zip-deflated', 'none'],
  ['bin-whole-module', 'UNSUPPORTED', 'pickle names torch.nn.modules.container.Sequential', 'model.state_dict()'],
];

describe('each damaged or hostile file gets its own answer', () => {
  test.each(BAD)('%s', (name, code, ...parts) => expectAnswer(badCase(name), code, parts));
});
