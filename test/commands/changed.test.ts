import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const MODEL = 'fixtures/hf-qa-layernorm-gelu';
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';
const PASSES = 'layer-norm-to-no-norm,gelu-to-relu';

test.each([
  ['texts that nothing is fitted to', ['--calibrate', TEXTS], /--calibrate: no pass is asked for/],
  ['a limit on nothing', ['--max-drop', '1'], /--max-drop: no pass is asked for/],
  ['data for nothing', ['--data', TEXTS], /--data: no pass is asked for/],
  ['a rank without split-embedding', ['--embedding-rank', '8'], /--embedding-rank: is for --passes split-embedding/],
  ['a rank of zero', ['--passes', 'split-embedding', '--embedding-rank', '0'], /must be a positive integer/],
  [
    'a share above all',
    ['--passes', 'split-embedding', '--embedding-rank', '120%'],
    /must be columns, as 128, or a share/,
  ],
  ['training for nothing', ['--distill', '5'], /--distill: no pass is asked for/],
  ['no steps of training', ['--passes', PASSES, '--distill', '0'], /must be a positive integer/],
  ['training without texts', ['--passes', 'split-embedding', '--distill', '5'], /--distill: needs --calibrate FILE/],
  ['passes without the text that they are fitted to', ['--passes', PASSES], /needs --calibrate FILE/],
  ['a budget for a pass that has none', ['--passes', 'gelu-to-relu=0.5'], /gelu-to-relu: takes no value, as "0.5"/],
  ['all of the operations', ['--passes', 'prune=1'], /prune=1: is no share of operations/],
  ['an empty budget', ['--passes', 'prune='], /prune=: is no share of operations/],
  ['prune without a budget', ['--passes', 'prune', '--calibrate', TEXTS], /--passes prune: of how many operations\?/],
  ['prune without texts', ['--passes', 'prune=0.5'], /--passes prune: needs --calibrate FILE/],
  [
    'a limit that would choose two things',
    ['--passes', 'prune,gelu-to-relu', '--calibrate', TEXTS, '--max-drop', '1'],
    /--max-drop cannot choose its budget beside gelu-to-relu/,
  ],
  [
    'less than can be left',
    ['--passes', 'prune=0.01', '--calibrate', TEXTS, '--samples', '40'],
    /prune=0\.01: 0\.\d{3} of the operations is the least/,
  ],
  ['a limit without texts', ['--passes', 'split-embedding', '--max-drop', '1'], /needs samples to measure on/],
  [
    'too few texts for a limit',
    ['--passes', PASSES, '--calibrate', TEXTS, '--samples', '250', '--max-drop', '1'],
    /6 samples are left for the proof, 32 are the least/,
  ],
  [
    'texts that were fitted to as data',
    ['--passes', PASSES, '--calibrate', TEXTS, '--samples', '50', '--data', TEXTS],
    /50 of its 256 samples are calibration samples as well/,
  ],
])('convert refuses %s', async (_, flags, problem) => {
  const output = join(folder, 'refused', 'x.onnx');
  const { code, out, err } = await runCommand(folder, 'convert', MODEL, '-o', output, ...flags);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(problem);
  expect(existsSync(join(folder, 'refused'))).toBe(false);
});

test('convert says what a change costs first, and exits with 1 where that is too much', async () => {
  const output = join(folder, 'split.onnx');
  const flags = ['--passes', 'split-embedding', '--embedding-rank', '2', '--calibrate', TEXTS, '--samples', '60'];
  const { code, out } = await runCommand(
    folder,
    'convert',
    MODEL,
    '-o',
    output,
    ...flags,
    '--max-drop',
    '0',
    '--verify',
  );
  expect(code).toBe(1);
  const lines = out.split('\n');
  const lineWith = (text: string) => lines.findIndex((line) => line.includes(text));
  expect(lineWith('changed  split-embedding 1')).toBe(0);
  expect(out).toMatch(/1000x16 -> 1000x2 and 2x16/);
  expect(lineWith('FAILED   --max-drop 0: agreement fell by')).toBeGreaterThan(0);
  expect(lineWith('<tmp>/split.onnx')).toBeGreaterThan(lineWith('FAILED'));
  expect(lineWith('verified ok against the fitted graph')).toBeGreaterThan(lineWith('<tmp>/split.onnx'));
  expect(lineWith("times the original's in onnxruntime")).toBeGreaterThan(lineWith('<tmp>/split.onnx'));
  expect(existsSync(output)).toBe(true);
});

test('convert says what training was worth, and writes that into the file', async () => {
  const output = join(folder, 'trained.onnx');
  const flags = ['--passes', PASSES, '--calibrate', TEXTS, '--samples', '60', '--distill', '60'];
  const source = 'fixtures/distilbert-qa';
  const { code, out } = await runCommand(folder, 'convert', source, '-o', output, ...flags, '--verify');
  expect(code).toBe(0);
  expect(out).toMatch(
    /^ {2}trained {2}60 steps of 32 texts, drawn from \d+: [\d.]+ dB -> [\d.]+ dB on 63 held-out texts$/m,
  );
  expect(out).toContain('verified ok against the fitted graph');
  expect(readFileSync(output).includes('"distillation":{"steps":60,"batch":32')).toBe(true);
});

test('quantize trains as well, and its page says so', async () => {
  const source = 'fixtures/hf-qa-nonorm-gelu';
  const page = join(folder, 'page.html');
  const flags = ['--scheme', 'int8', '--passes', 'gelu-to-relu', '--calibrate', TEXTS, '--samples', '60'];
  const output = join(folder, 'trained-int8.onnx');
  const { code, out } = await runCommand(
    folder,
    'quantize',
    source,
    '-o',
    output,
    ...flags,
    '--distill',
    '2',
    '--report',
    page,
  );
  expect(code).toBe(0);
  expect(out).toMatch(
    /trained {2}2 steps of 32 texts, drawn from \d+: .*, so the fit is taken without it; more steps may help/,
  );
  expect(readFileSync(page, 'utf8')).toMatch(
    /Trained: 2 steps of 32 texts, drawn from \d+: [\d.]+ dB .* [\d.]+ dB on 63 held-out texts/,
  );
});

test('convert splits without text, says so, and prints nothing but data with --json', async () => {
  const output = join(folder, 'split.tflite');
  const flags = ['--passes', 'split-embedding', '--embedding-rank', '50%', '--json'];
  const { code, out } = await runCommand(folder, 'convert', MODEL, '-o', output, ...flags, '--verify');
  const { fit, results } = JSON.parse(out);
  expect(code).toBe(0);
  expect(fit.embeddings).toHaveLength(1);
  expect(fit.embeddings[0].relativeError).toBeCloseTo(fit.embeddings[0].uniformError, 6);
  expect(fit).not.toHaveProperty('heldOut');
  expect(fit.operations).toMatchObject([{ target: 'tflite', sequence: 64 }]);
  expect(results[0].verify.ok).toBe(true);
  expect(results[0].speed.speedup).toBeGreaterThan(0);
});

test.each(['onnx', 'tflite'])('quantize fits first and proves on texts that neither step used: %s', async (format) => {
  const output = join(folder, `int8.${format}`);
  const flags = ['--scheme', 'int8', '--calibrate', TEXTS, '--samples', '60', '--sequence-length', '32', '--no-scan'];
  const passes = `${PASSES},split-embedding`;
  const { code, out, err } = await runCommand(
    folder,
    'quantize',
    MODEL,
    '-o',
    output,
    ...flags,
    '--passes',
    passes,
    '--embedding-rank',
    '12',
    '--json',
  );
  expect(code, err).toBe(0);
  const { fit, results } = JSON.parse(out);
  expect(fit.passes.map(({ name, rewrites }: { name: string; rewrites: number }) => [name, rewrites])).toEqual([
    ['split-embedding', 1],
    ['gelu-to-relu', 8],
    ['layer-norm-to-no-norm', 17],
  ]);
  expect(results[0].proof.sqnrDb).toBeGreaterThan(20);
  const bytes = readFileSync(output);
  for (const property of ['mbert.fit', 'mbert.quantization']) expect(bytes.includes(property)).toBe(true);
});

test('convert prunes to the budget, trains what is left, and says what stayed', async () => {
  const output = join(folder, 'pruned.onnx');
  const flags = ['--passes', 'prune=0.7,gelu-to-relu', '--calibrate', TEXTS, '--samples', '60', '--distill', '2'];
  const { code, out, err } = await runCommand(
    folder,
    'convert',
    'fixtures/distilbert-qa',
    '-o',
    output,
    ...flags,
    '--json',
  );
  expect(code, err).toBe(0);
  const { fit } = JSON.parse(out);
  expect(fit.passes.map(({ name }: { name: string }) => name)).toEqual(['prune', 'gelu-to-relu']);
  expect(fit.pruning.share).toBe(0.7);
  expect(fit.pruning.groups.map(({ kind }: { kind: string }) => kind)).toEqual([
    'heads',
    'neurons',
    'heads',
    'neurons',
  ]);
  const left = fit.operations[0].changed / fit.operations[0].original;
  expect(left).toBeLessThanOrEqual(0.7);
  // Units of a small model are coarse.
  expect(left).toBeGreaterThan(0.6);
  expect(fit.distillation.steps).toBe(2);
  expect(readFileSync(output).includes('"pruning":{"share":0.7')).toBe(true);
});

test.each([
  ['', '25'],
  [' that any model holds, down to the least that is possible', '100'],
])('convert finds the least budget that holds a limit%s', async (_, drop) => {
  const output = join(folder, `least-${drop}.onnx`);
  const flags = ['--passes', 'prune', '--calibrate', TEXTS, '--samples', '60', '--max-drop', drop];
  const { code, out, err } = await runCommand(folder, 'convert', 'fixtures/distilbert-qa', '-o', output, ...flags);
  expect(code, err).toBe(0);
  expect(out).toMatch(/left {5}[\d.]+ % of the operations at most; \d of 8 heads: \d \d/);
  expect(out).toMatch(/operations +speed +agreement +logits/);
  expect(out.match(/chosen/g)).toHaveLength(1);
});
