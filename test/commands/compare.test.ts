import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { problemsOf, structureOf } from '../reports/pages.ts';
import { runCommand } from './run.ts';

const SOURCE = 'fixtures/hf-seqcls';
const folder = temporaryFolder();
const run = (...argv: readonly string[]) => runCommand(folder, ...argv);
const path = (name: string) => join(folder, name);

beforeAll(async () => {
  await run('convert', SOURCE, '-o', path('f32.onnx'));
  await run('quantize', SOURCE, '-o', path('w4.onnx'), '--scheme', 'w4');
  await run('convert', SOURCE, '-o', path('f32.tflite'), '--sequence-length', '32');
});

test('models stand beside each other with what they lose', async () => {
  const models = ['f32.onnx', 'w4.onnx', 'f32.tflite'].map(path);
  const { code, out } = await run('compare', ...models, '--against', SOURCE, '--runs', '3', '--json');
  expect(code).toBe(0);
  const result = JSON.parse(out);
  expect(result).toMatchObject({ version: 1, against: SOURCE, lostOf: 'agreement', metric: null });
  const [f32, w4, tflite] = result.rows;
  expect(f32).toMatchObject({ model: '<tmp>/f32.onnx', format: 'onnx', speed: 1, lost: 0, changed: 0, failures: [] });
  expect(f32.sqnrDb === null || f32.sqnrDb > 100).toBe(true);
  expect(w4.bytes).toBeLessThan(f32.bytes);
  expect(w4.sqnrDb).toBeLessThan(40);
  expect(w4.lost).toBeCloseTo(100 * (1 - w4.agreement), 9);
  expect(w4.changed).toBe(Math.round(64 * (1 - w4.agreement)));
  // The only one of its format, and the smallest of the other.
  expect([w4.isOnFront, tflite.isOnFront]).toEqual([true, true]);
});

test('labels give the metric of each, and the page plots what there is to choose', async () => {
  const data = path('dev.tsv');
  const lines = Array.from({ length: 40 }, (_, i) => `the ${'very '.repeat(i % 5)}good film\t${i % 3}`);
  writeFileSync(data, `sentence\tlabel\n${lines.join('\n')}\n`);
  const flags = ['--against', SOURCE, '--data', data, '--runs', '3', '--report', path('compare.html')];
  const { code, out } = await run('compare', path('f32.onnx'), path('w4.onnx'), ...flags);
  expect(code).toBe(0);
  expect(out).toMatch(/^against fixtures\/hf-seqcls \([\d.]+ %\), on 40 samples of <tmp>\/dev\.tsv\n/);
  expect(out).toMatch(/accuracy lost/);
  const page = readFileSync(path('compare.html'), 'utf8');
  expect(problemsOf(page)).toEqual([]);
  expect(structureOf(page)).toEqual([
    'h1 Models compared',
    'h2 Models',
    'caption Models | model | runtime | size | cpu ms | speed | SQNR (dB) | metric | accuracy lost (points) | changed answers | best',
    'h2 Choice',
    ...['Time and loss', 'Size and loss', 'Size and time'].flatMap((title) => [
      `h3 ${title}, onnx`,
      expect.stringMatching(new RegExp(`^caption ${title}, onnx \\| `)),
    ]),
  ]);
});

test('a folder is no model that runs', async () => {
  const { code, err } = await run('compare', SOURCE, '--against', SOURCE);
  expect(code).toBe(2);
  expect(err).toContain('fixtures/hf-seqcls: is no .onnx or .tflite file\nhint: write it with mbert convert');
});
