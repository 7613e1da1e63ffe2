import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { budgetsOf, refuseOptions } from '../../../src/pipelines/search/budgets.ts';
import { search } from '../../../src/pipelines/search/search.ts';
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

test('each budget gets a model that meets it as written, and one that cannot be met is named', async () => {
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
});

test('the scores are kept: budgets of time take them over, and meet what is measured', async () => {
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
  expect(parts).toHaveLength(16);
});

test('TFLite files are written and measured as well', async () => {
  const common: SearchOptions = { source: SOURCE, output, calibrate: TEXTS, data: DATA };
  const { models } = await search({ ...common, budgets: [150_000], forms: ['f16'], fileFormat: 'tflite' });
  const [model] = models;
  expect(model?.path).toBe(join(output, 'size-150kB.tflite'));
  expect(model?.bytes).toBe(statSync(join(output, 'size-150kB.tflite')).size);
  expect(model?.bytes).toBeLessThanOrEqual(150_000);
  expect(model?.speed.runtime).toMatch(/^litert/);
  expect(model?.heldOut?.samples).toBe(48);
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
});

test.each<[Partial<SearchOptions>, RegExp]>([
  [{ budgets: [1e6] }, /needs --calibrate/],
  [{ calibrate: TEXTS }, /within what/],
  [{ calibrate: TEXTS, budgets: [1e6], latencyRatios: [0.5] }, /one kind of budget/],
  [{ calibrate: TEXTS, budgets: [1e6], merge: true, shard: { index: 1, count: 2 } }, /--shard/],
  [{ calibrate: TEXTS, latencyRatios: [0.5], forms: ['f32', 'dynamic'] }, /--forms dynamic/],
  [{ calibrate: TEXTS, latencyRatios: [0.5], fileFormat: 'tflite' }, /measured in ONNX Runtime/],
])('refuses %o', (options, message) => {
  expect(() => refuseOptions({ source: SOURCE, output, ...options })).toThrow(message);
});
