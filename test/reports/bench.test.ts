import { expect, test } from 'vitest';
import type { BenchResult, BenchRow } from '../../src/pipelines/bench/bench.ts';
import { benchHtml } from '../../src/reports/bench-html.ts';
import { problemsOf, structureOf } from './pages.ts';

const row = (changed: Partial<BenchRow>): BenchRow => ({
  model: 'models/a.onnx',
  format: 'onnx',
  runtime: 'onnxruntime 1.30.0',
  shape: [4, 128],
  bytes: 2e6,
  loadMs: 30,
  peakMemoryBytes: 5e6,
  cpuMs: { median: 20, low: 18, high: 24 },
  wallMs: { median: 40, low: 38, high: 44 },
  ratio: 1,
  profile: null,
  slower: [],
  ...changed,
});

const result = (rows: readonly BenchRow[], changed: Partial<BenchResult> = {}): BenchResult => ({
  processor: 'a processor',
  threads: 1,
  runs: 50,
  warmup: 3,
  measure: 'cpu',
  inputs: { seed: 7 },
  rows,
  warnings: [],
  ...changed,
});

/** Texts of the cells of a page's first table, row by row. */
const cellsOf = (page: string) =>
  [...(/<tbody>([\s\S]*?)<\/tbody>/.exec(page)?.[1] ?? '').matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, cells]) =>
    [...(cells ?? '').matchAll(/<td[^>]*>([\s\S]*?)<\/td>/g)].map(([, cell]) => cell?.replace(/<[^>]*>/g, '')),
  );

/** Widths of the bars of a page's plot with this title. */
const widthsOf = (page: string, title: string) => {
  const plot = page.split('<figure').find((part) => part.includes(`<h3>${title}</h3>`)) ?? '';
  return [...plot.matchAll(/<rect class="mark[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
};

test('a row has the time of the clock that ratios compare, its spread and what it is in sequences', () => {
  const rows = [row({}), row({ model: 'models/b.onnx', shape: [1, 3, 'varies'], peakMemoryBytes: null })];
  const numbers = ['2.0 MB', '30', '5.0 MB', '20.0', '18.0–24.0', '40.0', '200', '1.00'];
  expect(cellsOf(benchHtml(result(rows)))).toEqual([
    ['models/a.onnx', 'onnxruntime 1.30.0', '4×128', ...numbers],
    [
      'models/b.onnx',
      'onnxruntime 1.30.0',
      '1×3×varies',
      '2.0 MB',
      '30',
      '–',
      '20.0',
      '18.0–24.0',
      '40.0',
      '150',
      '1.00',
    ],
  ]);
  expect(cellsOf(benchHtml(result([row({})], { measure: 'wall', threads: 2 })))).toEqual([
    ['models/a.onnx', 'onnxruntime 1.30.0', '4×128', '2.0 MB', '30', '5.0 MB', '40.0', '38.0–44.0', '100', '1.00'],
  ]);
});

test('the page says how times were measured, on what, and which are not those of a phone', () => {
  const tflite = row({ model: 'models/a.tflite', format: 'tflite', runtime: 'litert 2.5.3' });
  const page = benchHtml(result([row({}), tflite], { inputs: { data: 'dev.tsv', texts: 1 } }));
  expect(page).toContain(
    '2 models: medians of 50 interleaved runs after 3, process CPU time, 1 thread, a processor, run on 1 text of dev.tsv',
  );
  expect(page).toContain('litert runs in WebAssembly here: compare such files with each other');
  expect(page.match(/<ul class="legend">.*?<\/ul>/)?.[0].replace(/<[^>]*>/g, ' ')).toMatch(
    /onnxruntime 1.30.0 +litert 2.5.3/,
  );
  expect(benchHtml(result([row({})]))).not.toContain('WebAssembly');
});

test('bars are as long as times, and lines reach from the 10th to the 90th percentile', () => {
  const page = benchHtml(result([row({}), row({ model: 'b', cpuMs: { median: 10, low: 5, high: 40 } })]));
  const [first, second] = widthsOf(page, 'Time of a run');
  expect(first).toBeGreaterThan(100);
  expect(first).toBeCloseTo(2 * (second ?? 0), 0);
  const spans = [...page.matchAll(/class="spread" d="M([\d.]+) [\d.]+H([\d.]+)/g)].map(
    ([, from, to]) => Number(to) - Number(from),
  );
  const perMs = (first ?? 0) / 20;
  expect(spans.map((span) => Math.round(span / perMs))).toEqual([6, 35]);
});

test('profiles of two models have one axis', () => {
  const profile = (ms: number) => ({
    kernelMs: ms,
    ops: [{ op: 'Gemm', count: 3, ms, share: 1 }],
    nodes: [{ name: 'layer.0.dense', op: 'Gemm', ms, share: 1 }],
  });
  const rows = [row({ profile: profile(8) }), row({ model: 'models/b.onnx', profile: profile(2) })];
  const page = benchHtml(result(rows));
  const [[slow], [fast]] = ['a', 'b'].map((name) => widthsOf(page, `Time by op, ${name}.onnx`)) as [number[], number[]];
  expect(slow).toBeCloseTo(4 * (fast ?? 0), 0);
  expect(structureOf(page).at(-1)).toBe('caption Most expensive nodes | model | node | op | ms | share');
  expect(structureOf(benchHtml(result(rows.slice(0, 1)))).at(-1)).toBe(
    'caption Most expensive nodes | node | op | ms | share',
  );
});

test('warnings and reasons for slow integers are lists, and names stay text', () => {
  const model = '<img src=x onerror=alert(1)>.onnx';
  const slower = ['integers are 1.80 times slower than the floats of f32.onnx', '18 products run in floats'];
  const page = benchHtml(result([row({}), row({ model, slower })], { warnings: [`${model}: y: has NaN`] }));
  expect(problemsOf(page)).toEqual([]);
  expect(page).toContain(`<li>&lt;img src=x onerror=alert(1)&gt;.onnx: y: has NaN</li>`);
  expect(page).toContain(
    'integers are 1.80 times slower than the floats of f32.onnx<ul><li>18 products run in floats</li></ul>',
  );
});

test('one model has no plot to be compared in, and no warnings no section', () => {
  expect(structureOf(benchHtml(result([row({})]))).filter((line) => line.startsWith('h'))).toEqual([
    'h1 Model timed',
    'h2 Models',
  ]);
});
