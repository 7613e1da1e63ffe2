import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type ConvertOptions, convert } from '../../../src/pipelines/convert/convert.ts';
import { temporaryFolder } from '../written.ts';

const DEMO = 'fixtures/mobilebert-demo';
const TEXTS = join(DEMO, 'sst2-train-256.txt');

const folder = temporaryFolder();

test('training brings a fitted model nearer to the original', async () => {
  const trained = await convertDemo({ distill: 14 });
  const { distillation } = trained.fit ?? {};
  expect(distillation).toMatchObject({ steps: 14, batch: 32, isKept: true, trial: { samples: 63 } });
  const { before = Number.NaN, after = Number.NaN } = distillation?.trial ?? {};
  expect(after - before).toBeGreaterThan(0.25);
  // The norms are still ones that fold away.
  expect(trained.results[0]?.passes.find(({ name }) => name === 'fold-no-norm')?.rewrites).toBe(33);
}, 240_000);

test('takes the fit as it was where training has made it worse', async () => {
  const source = 'fixtures/hf-qa-nonorm-gelu';
  const fitted = await trainSmall({ source, distill: undefined });
  const hardly = await trainSmall({ source, distill: 2 });
  expect(hardly.fit?.distillation?.isKept).toBe(false);
  expect(hardly.fit?.heldOut).toEqual(fitted.fit?.heldOut);
}, 120_000);

test('what is measured at the end is the trained model', async () => {
  const [fitted, trained] = [await trainSmall({ distill: undefined }), await trainSmall({ distill: 60 })];
  expect(trained.fit?.distillation?.isKept).toBe(true);
  expect(trained.fit?.heldOut?.sqnrDb).toBeGreaterThan(fitted.fit?.heldOut?.sqnrDb as number);
}, 120_000);

test('the same flags train the same model', async () => {
  const runs = [await trainSmall({}), await trainSmall({})];
  expect(runs[0]?.fit?.distillation?.trial).toEqual(runs[1]?.fit?.distillation?.trial);
  expect((await trainSmall({ seed: 7 })).fit?.distillation?.trial).not.toEqual(runs[0]?.fit?.distillation?.trial);
}, 120_000);

test.each([
  ['answers that are spans, with norms and activations that stay', 'hf-qa-layernorm-gelu', { keep: /layer\.0/ }],
  ['words', 'bert-mlm', {}],
  ['features', 'minilm-features', {}],
  ['a split table', 'bert-seqcls', { passes: 'split-embedding', embeddingRank: 16 }],
  ['another network than BERT', 'distilbert-qa', {}],
  ['a teacher of several outputs', 'tf1-ibbert-teacher-pretrain', {}],
] as const)(
  'trains %s',
  async (_, source, options) => {
    const { fit } = await trainSmall({ source: join('fixtures', source), distill: 30, ...options });
    const { before = Number.NaN, after = Number.NaN } = fit?.distillation?.trial ?? {};
    expect(after).toBeGreaterThan(before);
  },
  120_000,
);

test('trains nothing where passes had nothing to change', async () => {
  const { fit } = await trainSmall({ source: 'fixtures/hf-qa' });
  expect(fit?.passes.map(({ rewrites }) => rewrites)).toEqual([0, 0]);
  expect(fit?.distillation).toBeUndefined();
});

test('refuses a file that takes one sequence at a time', async () => {
  const source = join(folder, 'source.onnx');
  await convert({ source: 'fixtures/bert-seqcls', output: source, batch: 1 });
  await expect(trainSmall({ source })).rejects.toThrow('takes inputs [1, sequence], too few to learn from');
});

function convertDemo(options: Partial<ConvertOptions>) {
  return convert({
    source: DEMO,
    output: join(folder, 'demo.onnx'),
    passes: 'layer-norm-to-no-norm,gelu-to-relu',
    calibrate: TEXTS,
    samples: 100,
    ...options,
  });
}

/** A few steps on a tiny model of random weights. */
function trainSmall(options: Partial<ConvertOptions>) {
  return convertDemo({ source: 'fixtures/hf-qa-layernorm-gelu', samples: 60, distill: 3, ...options });
}
