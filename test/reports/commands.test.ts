import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../commands/run.ts';
import { changedCheckpoint } from '../diff/checkpoints.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { pictureOf, problemsOf, structureOf } from './pages.ts';

const SOURCE = 'fixtures/hf-seqcls';
const NUDGED = 'mobilebert.encoder.layer.1.attention.self.query.weight';

const folder = temporaryFolder();
const run = (...argv: string[]) => runCommand(folder, ...argv);
const path = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(path(name), 'utf8');

beforeAll(() => {
  changedCheckpoint(SOURCE, path('nudged'), (name, values) => {
    if (name === NUDGED) values[3] = (values[3] as number) + 0.25;
  });
});

test('diff writes the page beside its answer, and the exit code is the answer', async () => {
  const { code, out } = await run('diff', SOURCE, path('nudged'), '--report', path('diff.html'));
  expect(code).toBe(1);
  expect(out).toContain('different: weights 1');
  const page = read('diff.html');
  expect(problemsOf(page)).toEqual([]);
  expect(structureOf(page)).toMatchSnapshot();
  const marked = pictureOf(page).groups.flatMap(({ nodes, states }) => nodes.filter((_, i) => states[i] === 'weights'));
  expect(marked.map(([op, , name]) => [op, name])).toEqual([['linear', NUDGED.replace('.weight', '')]]);
  expect(marked[0]?.[4].at(-1)?.[1]).toMatch(/1 of \d+ differ, max error 0\.25/);
  // The weight that differs, and no other one, has its values in both models on one axis.
  const { groups, histograms } = pictureOf(page);
  const plots = groups.flatMap(({ nodes }) => nodes.flatMap(([, , , , , own]) => own));
  expect(plots.map(([title]) => title)).toEqual([`${NUDGED} in a`, `${NUDGED} in b`]);
  const [inA, inB] = plots.map(([, at]) => histograms[at]?.[3] ?? []) as [number[], number[]];
  expect(inA.reduce((sum, count) => sum + count)).toBe(inB.reduce((sum, count) => sum + count));
  expect(inA).not.toEqual(inB);
  const ends = histograms.map(([least, most]) => [least, most] as const);
  const axis = [Math.min(...ends.map(([least]) => least)), Math.max(...ends.map(([, most]) => most))];
  expect(plots.map(([, , limits, own]) => [limits, own])).toEqual([
    [null, axis],
    [null, axis],
  ]);
});

test('diff --format html prints the page, and JSON has no graph in it', async () => {
  const { out } = await run('diff', SOURCE, path('nudged'), '--format', 'html');
  expect(out.startsWith('<!doctype html>')).toBe(true);
  const json = await run('diff', SOURCE, path('nudged'), '--json', '--report', path('again.html'));
  expect(Object.keys(JSON.parse(json.out))).not.toContain('outline');
  expect(read('again.html')).toBe(out.replaceAll('<tmp>', folder));
});

test('inspect', async () => {
  const { code, out } = await run('inspect', SOURCE, '--target', 'tflite', '--format', 'html');
  expect(code).toBe(0);
  expect(problemsOf(out)).toEqual([]);
  expect(structureOf(out)).toMatchSnapshot();
});

test('inspect of a written file shows what is stored in it', async () => {
  await run('quantize', SOURCE, '-o', path('dynamic.onnx'), '--scheme', 'dynamic', '--report', path('dynamic.html'));
  expect(problemsOf(read('dynamic.html'))).toEqual([]);
  expect(read('dynamic.html')).toContain('written, not measured');
  await run('inspect', path('dynamic.onnx'), '--report', path('inspect.html'), '--json');
  const text = await run('inspect', path('dynamic.onnx'));
  expect(text.out).toMatch(/^model +mobilebert, sequence-classification$/m);
  expect(structureOf(read('inspect.html'))[0]).toBe('h1 mobilebert, sequence-classification');
  const [, size] = /^weights .* parameters, (.*)$/m.exec(text.out) ?? [];
  expect(read('inspect.html')).toContain(
    `weights</span><span class="value">${size}</span><span class="of">i8 per channel, f32, `,
  );
  for (const name of ['dynamic.html', 'inspect.html']) {
    const { groups } = pictureOf(read(name));
    const linears = groups.flatMap(({ nodes, states }) =>
      nodes.flatMap(([op], i) => (op === 'linear' ? [states[i]] : [])),
    );
    expect(linears.filter((state) => state === 'stored').length, name).toBeGreaterThan(10);
  }
});

test('quantize has proof, channel ranges before and after, and both sizes', async () => {
  const texts = 'fixtures/mobilebert-demo/sst2-train-256.txt';
  const flags = ['--calibrate', texts, '--samples', '24', '--sequence-length', '16', '--vocab', `${SOURCE}/vocab.txt`];
  const { code, err } = await run(
    'quantize',
    SOURCE,
    '-o',
    path('int8.onnx'),
    '--scheme',
    'int8',
    ...flags,
    '--report',
    path('int8.html'),
  );
  expect({ code, err }).toEqual({ code: 0, err: expect.any(String) });
  const page = read('int8.html');
  expect(problemsOf(page)).toEqual([]);
  expect(structureOf(page)).toMatchSnapshot();
  const { groups, histograms } = pictureOf(page);
  const plots = groups.flatMap(({ nodes }) =>
    nodes.flatMap(([op, , , , , own]) => own.map(([title, at, limits]) => ({ op, title, at, limits }))),
  );
  const rounded = plots.filter(({ op, title }) => op === 'quantize' && title === 'its values on the texts');
  expect(rounded.length).toBeGreaterThan(10);
  for (const { at, limits } of rounded) {
    const [least, most, , counts] = histograms[at] ?? [0, 0, 0, []];
    // Ranges are from all samples, the histogram is from the first ones.
    const step = ((limits?.[1] ?? 0) - (limits?.[0] ?? 0)) / 255;
    expect(limits?.[0] ?? 1).toBeLessThanOrEqual(least + step);
    expect(limits?.[1] ?? -1).toBeGreaterThanOrEqual(most - step);
    expect(counts.reduce((sum, count) => sum + count)).toBeGreaterThan(0);
  }
  expect(plots.some(({ title }) => title.endsWith('.weight'))).toBe(true);
  const json = ['--json', '--report', path('again.html')];
  const { out } = await run('quantize', SOURCE, '-o', path('int8.onnx'), '--scheme', 'int8', ...flags, ...json);
  for (const key of ['outline', 'distributions']) expect(Object.keys(JSON.parse(out).results[0])).not.toContain(key);
});

test('quantize tells what passes before it have replaced, and what that cost', async () => {
  const texts = 'fixtures/mobilebert-demo/sst2-train-256.txt';
  const source = 'fixtures/hf-qa-layernorm-gelu';
  const passes = ['--passes', 'layer-norm-to-no-norm,gelu-to-relu', '--calibrate', texts, '--samples', '60'];
  const argv = ['quantize', source, '-o', path('replaced.onnx'), '--scheme', 'int8', ...passes, '--max-drop', '10'];
  await run(...argv, '--report', path('replaced.html'));
  const page = read('replaced.html');
  expect(problemsOf(page)).toEqual([]);
  const structure = structureOf(page);
  const from = structure.indexOf('h2 Replaced before');
  expect(structure.slice(from, structure.indexOf('h2 Summary'))).toMatchSnapshot();
  expect(page).toMatch(/linears fitted anew, to 60 texts of/);
  expect(page).toMatch(/agreement with the original[\s\S]*\d+ held-out texts/);
});

test('quantize says in every report which rounding was taken, and what both were worth', async () => {
  const flags = [
    '--calibrate',
    'fixtures/mobilebert-demo/sst2-train-256.txt',
    '--samples',
    '24',
    '--sequence-length',
    '16',
  ];
  const what = [
    'quantize',
    SOURCE,
    '-o',
    path('w4.onnx'),
    '--scheme',
    'w4',
    '--granularity',
    'channel',
    '--bias-correction',
  ];
  const { code, out, err } = await run(...what, ...flags, '--report', path('w4.html'));
  expect({ code, err }).toEqual({ code: 0, err: expect.any(String) });
  expect(out).toMatch(/^ {2}rounding: (gptq|nearest) \([\d.]+ dB on 32 trial samples; (gptq|nearest) [\d.]+ dB\)$/m);
  expect(out).toMatch(/^ {2}biases: (corrected|as they were) \([\d.]+ dB on 32 trial samples; /m);
  expect(problemsOf(read('w4.html'))).toEqual([]);
  for (const label of ['rounding', 'biases']) expect(read('w4.html')).toContain(label);
  const json = await run(...what, ...flags, '--json');
  const [{ rounding, biasCorrection }] = JSON.parse(json.out).results;
  expect(rounding).toEqual({
    used: expect.any(String),
    samples: 32,
    gptqDb: expect.any(Number),
    nearestDb: expect.any(Number),
  });
  expect(Object.keys(biasCorrection)).toEqual(['used', 'samples', 'correctedDb', 'plainDb']);
});

test('verify', async () => {
  await run('convert', SOURCE, '-o', path('model.onnx'));
  const { code } = await run(
    'verify',
    path('model.onnx'),
    '--against',
    path('nudged'),
    '--layers',
    '1:1',
    '--samples',
    '4',
    '--report',
    path('verify.html'),
  );
  expect(code).toBe(0);
  expect(problemsOf(read('verify.html'))).toEqual([]);
  expect(structureOf(read('verify.html'))).toMatchSnapshot();
});

describe('a page that cannot be written', () => {
  test('a folder is refused before any work', async () => {
    mkdirSync(path('folder'));
    const { code, err } = await run(
      'quantize',
      SOURCE,
      '-o',
      path('none.onnx'),
      '--scheme',
      'dynamic',
      '--report',
      path('folder'),
    );
    expect({ code, err }).toEqual({
      code: 2,
      err: '--report: <tmp>/folder is a folder\nhint: name a file, as report.html\n',
    });
    expect(existsSync(path('none.onnx'))).toBe(false);
  });

  test('below a file', async () => {
    const { code, err } = await run('inspect', SOURCE, '--report', path('diff.html/page.html'));
    expect({ code, err }).toEqual({
      code: 2,
      err: '--report: <tmp>/diff.html/page.html: <tmp>/diff.html is not a folder\n',
    });
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
