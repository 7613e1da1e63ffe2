import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { problemsOf, structureOf } from '../reports/pages.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const run = (...argv: readonly string[]) => runCommand(folder, ...argv);
const QUICK = ['--runs', '2', '--warmup', '0', '--no-memory'];

beforeAll(async () => {
  await run('convert', 'fixtures/hf-seqcls', '-o', path('a.onnx'));
  await run('quantize', 'fixtures/hf-seqcls', '-o', path('b.onnx'), '--scheme', 'dynamic');
  await run('convert', 'fixtures/hf-seqcls', '-o', path('a.tflite'), '--sequence-length', '16');
});

/** Numbers differ from run to run. */
const withoutNumbers = (text: string) =>
  text
    .replace(/\d+(\.\d+)?/g, '0')
    .replace(/ +/g, ' ')
    .replace(/, [^,]*$/m, ', processor');

test('a table of what was measured, and how', async () => {
  const { code, out } = await run('bench', path('a.onnx'), path('b.onnx'), path('a.tflite'), ...QUICK);
  expect(code).toBe(0);
  expect(out.split('\n').slice(0, 4).map(withoutNumbers)).toEqual([
    withoutNumbers('model runtime tokens size load memory cpu ms 10-90 % wall ms speed'),
    '<tmp>/a.onnx onnxruntime 0.0 0x0 0 kB 0 ms - 0 0-0 0 0',
    '<tmp>/b.onnx onnxruntime 0.0 0x0 0 kB 0 ms - 0 0-0 0 0',
    '<tmp>/a.tflite litert 0.0 0x0 0 kB 0 ms - 0 0-0 0 0',
  ]);
  expect(out).toContain('medians of 2 interleaved runs after 0, process CPU time, 1 thread, ');
  expect(out).toContain('litert runs in WebAssembly here');
});

test('a profile is printed, and who has none is named', async () => {
  const { code, out, err } = await run('bench', path('b.onnx'), path('a.tflite'), '--profile', ...QUICK);
  expect(code).toBe(0);
  expect(out).toMatch(/^DynamicQuantizeMatMul +\d+ +[\d.]+ +[\d.]+ %$/m);
  expect(err).toContain('<tmp>/a.tflite: no profile: only ONNX Runtime has one');
});

test('--report writes a page beside the text, and --format html prints it', async () => {
  writeFileSync(path('texts.txt'), 'the cat\na dog barks\n');
  const data = ['--data', path('texts.txt'), '--sequence-length', '16'];
  const models = [path('a.onnx'), path('b.onnx'), path('a.tflite')];
  const { code, out } = await run('bench', ...models, '--profile', ...data, ...QUICK, '--report', path('bench.html'));
  expect(code).toBe(0);
  expect(out).toMatch(/^model +runtime/);
  expect(out).toContain('run on 2 texts of <tmp>/texts.txt');
  const page = readFileSync(path('bench.html'), 'utf8');
  expect(problemsOf(page)).toEqual([]);
  expect(page).toContain(`run on 2 texts of ${path('texts.txt')}`);
  expect(structureOf(page)).toEqual([
    'h1 Models timed',
    'h2 Models',
    'caption Models | model | runtime | tokens | size | load ms | cpu ms | 10–90 % | wall ms | sequences/s | speed',
    'h2 Warnings',
    'h2 Time and memory',
    'h3 Time of a run',
    'caption Time of a run | model | 10 % | median cpu ms | 90 %',
    'h2 Time by op',
    ...['a', 'b'].flatMap((name) => [
      `h3 Time by op, ${name}.onnx`,
      `caption Time by op, ${name}.onnx | op | nodes | ms | share`,
    ]),
    'h2 Most expensive nodes',
    'caption Most expensive nodes | model | node | op | ms | share',
  ]);
  const printed = await run('bench', path('a.onnx'), ...QUICK, '--format', 'html');
  expect(structureOf(printed.out)[0]).toBe('h1 Model timed');
  expect(printed.out).toContain('run on random tokens of seed 1');
});

test('a page that cannot be written is refused before any model runs', async () => {
  const { code, err } = await run('bench', 'none.onnx', '--report', folder);
  expect({ code, err }).toEqual({ code: 2, err: '--report: <tmp> is a folder\nhint: name a file, as report.html\n' });
});

test('--json is the data', async () => {
  const { code, out } = await run('bench', path('a.onnx'), '--against', path('b.onnx'), '--json', ...QUICK);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({
    threads: 1,
    runs: 2,
    warmup: 0,
    measure: 'cpu',
    inputs: { seed: 1 },
    rows: [
      {
        model: '<tmp>/b.onnx',
        format: 'onnx',
        shape: [1, 64],
        ratio: 1,
        profile: null,
        slower: expect.any(Array),
      },
      { model: '<tmp>/a.onnx', peakMemoryBytes: null, cpuMs: { median: expect.any(Number) } },
    ],
    warnings: [],
  });
});

test.each([
  [['README.md'], 'README.md: is no model that mbert knows'],
  [['none.onnx'], 'none.onnx: cannot be read: does not exist'],
  [['a.tflite', '--sequence-length', '32'], '--sequence-length: <tmp>/a.tflite is fixed to 16'],
  [['a.onnx', '--runs', '0'], "option '--runs <n>' argument '0' is invalid"],
  [[], "missing required argument 'model'"],
])('bench %j is exit code 2', async (argv, message) => {
  const [first, ...rest] = argv;
  const models = first === undefined ? [] : [first.startsWith('a.') ? path(first) : first];
  const { code, out, err } = await run('bench', ...models, ...rest);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toContain(message);
});

test('inspect says which kernels the products of a file become', async () => {
  const dynamic = await run('inspect', path('b.onnx'), '--delegate', 'onnxruntime');
  expect(dynamic).toMatchObject({ code: 0, err: '' });
  expect(dynamic.out).toMatch(/^ONNX Runtime makes of \d+ products: \d+ DynamicQuantizeMatMul\n$/);
  const float = await run('inspect', path('a.onnx'), '--delegate', 'onnxruntime');
  expect(float.out).toBe('no product has integers in it\n');
  const json = await run('inspect', path('b.onnx'), '--delegate', 'onnxruntime', '--json');
  expect(JSON.parse(json.out).products[0]).toEqual({
    where: expect.any(String),
    kernel: 'DynamicQuantizeMatMul',
    isLinear: true,
  });
  expect((await run('inspect', 'fixtures/hf-seqcls/config.json', '--delegate', 'onnxruntime')).code).toBe(2);
});
