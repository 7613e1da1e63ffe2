import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fittedTexts } from '../../../src/opened/fitted-texts.ts';
import { openModel } from '../../../src/opened/open-model.ts';
import { budgetsOf, refuseOptions } from '../../../src/pipelines/search/budgets.ts';
import { nameOf } from '../../../src/pipelines/search/find-models.ts';
import { search } from '../../../src/pipelines/search/search.ts';
import { scoreShard } from '../../../src/pipelines/search/shards.ts';
import type { SearchOptions } from '../../../src/pipelines/search/types.ts';
import { runCommand } from '../../commands/run.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const lines = readFileSync('fixtures/mobilebert-demo/sst2-train-256.txt', 'utf8').split('\n');
const TEXTS = join(folder, 'texts.txt');
writeFileSync(TEXTS, lines.slice(0, 48).join('\n'));
const DATA = join(folder, 'data.txt');
writeFileSync(DATA, lines.slice(48, 96).join('\n'));
const SOURCE = 'fixtures/bert-seqcls';
const output = join(folder, 'students');
/** Each of these tests takes seconds of CPU time; on a busy machine that is minutes. */
const LONG = 300_000;

test(
  'each budget gets a model that meets it as written, and one that cannot be met is named',
  async () => {
    const argv = ['search', SOURCE, '-o', output, '--calibrate', TEXTS, '--data', DATA, '--forms', 'f32', '--json'];
    const { code, out } = await runCommand(
      folder,
      ...argv,
      '--budgets',
      '330kB,260kB,10kB',
      '--report',
      join(folder, 'page.html'),
    );
    expect(code).toBe(1);
    const result = JSON.parse(out);
    expect(result.models.map(({ path }: { path: string }) => path)).toEqual([
      '<tmp>/students/size-330kB.onnx',
      '<tmp>/students/size-260kB.onnx',
    ]);
    const sizes = ['size-330kB.onnx', 'size-260kB.onnx'].map((name) => statSync(join(output, name)).size);
    expect(result.models.map(({ bytes }: { bytes: number }) => bytes)).toEqual(sizes);
    expect(sizes[0]).toBeLessThanOrEqual(330_000);
    expect(sizes[1]).toBeLessThanOrEqual(260_000);
    // What a budget leaves is used: the next larger step of any group would not fit.
    expect(sizes[0]).toBeGreaterThan(0.9 * 330_000);
    const [large, small] = result.models;
    expect(large.heldOut.samples).toBe(48);
    expect(large.heldOut.sqnrDb).toBeGreaterThan(small.heldOut.sqnrDb);
    expect(large.noise).toBeLessThan(small.noise);
    expect(small.operations).toBeLessThan(large.operations);
    expect(result.missed).toEqual([
      {
        budget: { kind: 'size', bytes: 10_000 },
        reason: expect.stringMatching(/^no model met it as measured; the least is expected at 0\.\d\d MB in f32$/),
      },
    ]);
    const page = readFileSync(join(folder, 'page.html'), 'utf8');
    expect(page).toContain('Size and loss');
    const student = await openModel(join(output, 'size-260kB.onnx'));
    student.close();
    expect(fittedTexts(student)).toMatchObject([{ source: 'texts.txt', count: 48, seed: null }]);
  },
  LONG,
);

test(
  'the scores are kept: budgets of time take them over, and meet what is measured',
  async () => {
    const scores = readFileSync(join(output, 'scores-1-of-1.json'), 'utf8');
    const common: SearchOptions = { source: SOURCE, output, calibrate: TEXTS, data: DATA };
    const result = await search({ ...common, latencyRatios: [0.5] });
    expect(readFileSync(join(output, 'scores-1-of-1.json'), 'utf8')).toBe(scores);
    for (const { speed, budget, layers } of result.models) {
      expect(budget).toEqual({ kind: 'latency', ratio: 0.5 });
      expect(1 / speed.speedup).toBeLessThanOrEqual(0.5);
      expect(layers.some(({ kind, groups }) => kind !== 'cut' || groups.some(({ kept, count }) => kept < count))).toBe(
        true,
      );
    }
    expect(result.models.length + result.missed.length).toBe(1);
    const { parts, rounds } = JSON.parse(readFileSync(join(output, 'latencies.json'), 'utf8'));
    expect(rounds).toBe(30);
    for (const { median, low, high } of parts) expect(low <= median && median <= high).toBe(true);
    // The two layers have equal shapes, so that each of their changes was timed once; and the whole teacher.
    expect(new Set(parts.map(({ key }: { key: string }) => key)).size).toBe(parts.length);
    expect(parts).toHaveLength(17);
  },
  LONG,
);

test(
  'files of integers are timed as they are',
  async () => {
    const common: SearchOptions = { source: SOURCE, output, calibrate: TEXTS, data: DATA };
    const share = 0.9;
    const { models, missed } = await search({ ...common, latencyRatios: [share], forms: ['dynamic'] });
    for (const { form, speed, bytes } of models) {
      expect(form).toBe('dynamic');
      expect(1 / speed.speedup).toBeLessThanOrEqual(share);
      expect(bytes).toBe(statSync(join(output, 'latency-0.9.onnx')).size);
    }
    for (const { reason } of missed) expect(reason).toMatch(/of the teacher's time in dynamic$/);
    expect(models.length + missed.length).toBe(1);
  },
  LONG,
);

test(
  'bits are chosen layer by layer, and are in the file',
  async () => {
    const common: SearchOptions = {
      source: SOURCE,
      output,
      calibrate: TEXTS,
      data: DATA,
      forms: ['mixed'],
      keep: /word_embeddings/,
    };
    const { models } = await search({ ...common, budgets: [400_000, 145_000, 125_000] });
    for (const { bytes, budget, form } of models) {
      expect(form).toBe('mixed');
      expect(bytes).toBeLessThanOrEqual(budget.kind === 'size' ? budget.bytes : 0);
    }
    const bits = models.map(({ layers }) => layers.map((layer) => layer.bits));
    expect(bits).toEqual([
      [8, 8],
      [8, 8],
      [8, 4],
    ]);
    expect(models[2]?.bytes).toBeLessThan((models[1]?.bytes as number) - 8000);
    // Nothing is cut of the first: what it errs by is how it is stored.
    expect(models[0]?.operations).toBe(1);
    expect(models[0]?.noise).toBeGreaterThan(0);
    expect(models[0]?.noise).toBe(models[0]?.expectedNoise);
  },
  LONG,
);

test(
  'TFLite files are written and measured as well',
  async () => {
    const common: SearchOptions = { source: SOURCE, output, calibrate: TEXTS, data: DATA };
    const { models } = await search({ ...common, budgets: [150_000], forms: ['f16'], fileFormat: 'tflite' });
    const [model] = models;
    expect(model?.path).toBe(join(output, 'size-150kB.tflite'));
    expect(model?.bytes).toBe(statSync(join(output, 'size-150kB.tflite')).size);
    expect(model?.bytes).toBeLessThanOrEqual(150_000);
    expect(model?.speed.runtime).toMatch(/^litert/);
    expect(model?.heldOut?.samples).toBe(48);
  },
  LONG,
);

const argvFor = (folderName: string, ...more: readonly string[]) => [
  ...['search', SOURCE, '-o', join(folder, folderName), '--calibrate', TEXTS],
  ...['--forms', 'f32', '--json', ...more],
];

/** Runs a part in a process of its own, which is killed once the part's file is there where that is asked for. */
function runPart(part: string, isKilled = false): Promise<number | null> {
  const child = spawn(process.execPath, ['bin/mbert.js', ...argvFor('parts', '--shard', part)], { stdio: 'ignore' });
  const path = join(folder, 'parts', `scores-${part.replace('/', '-of-')}.json`);
  const timer = setInterval(() => {
    if (isKilled && existsSync(path)) child.kill('SIGKILL');
  }, 1);
  return new Promise((resolve) => {
    child.on('exit', (code) => {
      clearInterval(timer);
      resolve(code);
    });
  });
}

const scoresIn = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8')).scores;

test(
  'parts that run apart, one of them killed and run again, give what one process gives',
  async () => {
    expect(await runPart('1/2')).toBe(0);
    expect(await runPart('2/2', true)).toBe(null);
    const early = scoresIn('parts/scores-2-of-2.json').length;
    expect(early).toBeGreaterThan(0);
    expect(early).toBeLessThan(17);

    const missing = await runCommand(folder, ...argvFor('parts', '--merge', '--budgets', '260kB'));
    expect(missing.code).toBe(2);
    expect(missing.err).toContain(`--merge: <tmp>/parts: ${17 - early} of 35 scores are missing`);
    expect(missing.err).toContain('run these parts to their end: --shard 2/2');
    expect(readdirSync(join(folder, 'parts')).sort()).toEqual(['scores-1-of-2.json', 'scores-2-of-2.json']);

    expect(await runPart('2/2')).toBe(0);
    const merged = await runCommand(folder, ...argvFor('parts', '--merge', '--budgets', '260kB'));
    expect(merged.code).toBe(0);
    const parts = [scoresIn('parts/scores-1-of-2.json'), scoresIn('parts/scores-2-of-2.json')];
    const all = Array.from({ length: 35 }, (_, i) => parts[i % 2][Math.floor(i / 2)]);
    expect(all).toEqual(scoresIn('students/scores-1-of-1.json'));
    const bytesOf = (name: string) => readFileSync(join(folder, name, 'size-260kB.onnx'));
    expect(bytesOf('parts').equals(bytesOf('students'))).toBe(true);
  },
  LONG,
);

test('scores of other texts, of another version, and what is no score, are not taken over', async () => {
  const path = join(folder, 'foreign', 'scores-1-of-2.json');
  const shard = { index: 1, count: 2 };
  const refused = (content: string) => {
    mkdirSync(join(folder, 'foreign'), { recursive: true });
    writeFileSync(path, content);
    return scoreShard(join(folder, 'foreign'), [], { shard, identity: 'own', score: () => expect.unreachable() });
  };
  const file = { version: 1, identity: 'own', shard, scores: [] };
  expect(await refused(JSON.stringify(file))).toEqual([]);
  await expect(refused(JSON.stringify({ ...file, identity: 'other' }))).rejects.toThrow('are scores of another search');
  await expect(refused(JSON.stringify({ ...file, version: 2 }))).rejects.toThrow('is no file of scores');
  await expect(refused('[]')).rejects.toThrow('is no file of scores');
  await expect(refused('{')).rejects.toThrow('is no file of scores');
});

test('nodes to keep that the teacher does not have are refused', async () => {
  const kept = search({ source: SOURCE, output, calibrate: TEXTS, budgets: [1e6], keep: /word_embedings/ });
  await expect(kept).rejects.toThrow(/^--keep word_embedings: .* has no node with such a name$/);
});

test('budgets are spread between the smallest and the largest', () => {
  const sizes = budgetsOf({ source: '', output: '', budgets: [4e6, 12e6], count: 5 });
  expect(sizes.map((budget) => budget.kind === 'size' && budget.bytes)).toEqual([12e6, 10e6, 8e6, 6e6, 4e6]);
  const ratios = budgetsOf({ source: '', output: '', latencyRatios: [0.5, 0.3, 0.5] });
  expect(ratios).toEqual([
    { kind: 'latency', ratio: 0.5 },
    { kind: 'latency', ratio: 0.3 },
  ]);
  expect(() => budgetsOf({ source: '', output: '', budgets: [4e6], count: 5 })).toThrow(/--count 5: spreads budgets/);
  expect(() => budgetsOf({ source: '', output: '', budgets: [] })).toThrow(/the list of budgets is empty/);
});

test('budgets that would name one file are one budget', () => {
  const budgets = budgetsOf({ source: '', output: '', latencyRatios: [0.3, 0.30002, 0.3001, 0.00001] });
  expect(budgets.map(nameOf)).toEqual(['latency-0.3001', 'latency-0.3', 'latency-0.0001']);
  const spread = budgetsOf({ source: '', output: '', latencyRatios: [0.3, 0.3002], count: 9 });
  expect(spread.map(nameOf)).toEqual(['latency-0.3002', 'latency-0.3001', 'latency-0.3']);
});

test.each<[Partial<SearchOptions>, RegExp]>([
  [{ budgets: [1e6] }, /needs --calibrate/],
  [{ calibrate: TEXTS }, /within what/],
  [{ output: 'found.onnx', calibrate: TEXTS, budgets: [1e6] }, /found.onnx: search writes a folder/],
  [{ calibrate: TEXTS, budgets: [1e6], latencyRatios: [0.5] }, /one kind of budget/],
  [{ calibrate: TEXTS, budgets: [1e6], merge: true, shard: { index: 1, count: 2 } }, /--shard/],
  [{ calibrate: TEXTS, latencyRatios: [0.5], forms: ['mixed'] }, /--forms mixed: is for --budgets/],
  [{ calibrate: TEXTS, latencyRatios: [0.5], fileFormat: 'tflite' }, /measured in ONNX Runtime/],
])('refuses %o', (options, message) => {
  expect(() => refuseOptions({ source: SOURCE, output, ...options })).toThrow(message);
});
