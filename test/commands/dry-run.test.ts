import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const path = (name: string) => join(folder, name);
const run = (...argv: string[]) => runCommand(folder, ...argv);
const SOURCE = 'fixtures/hf-seqcls';

describe('--dry-run', () => {
  test.each([
    ['convert', '--dtype', 'f16'],
    ['convert', '--external-data', '-o', path('a/m.onnx')],
    ['quantize', '--scheme', 'w4'],
    ['quantize', '--scheme', 'f16', '--vocab', 'fixtures/hf-seqcls/vocab.txt'],
  ])('tells the sizes that are written then: %s %s %s', async (command, ...flags) => {
    const argv = [command, SOURCE, '-o', path('a'), ...flags, '--json'];
    const dry = await run(...argv, '--dry-run');
    expect(dry.code, dry.err).toBe(0);
    expect(existsSync(path('a'))).toBe(false);
    const filesOf = (out: string) => JSON.parse(out).results.flatMap(({ files }: { files: object[] }) => files);
    const told = filesOf(dry.out);
    expect(told.length).toBe(2);
    const { out } = await run(...argv);
    expect(filesOf(out)).toEqual(told);
    for (const { path: file, size } of told) expect(statSync(file.replace('<tmp>', folder)).size).toBe(size);
    rmSync(path('a'), { recursive: true });
  });

  test('tells the sizes of a folder: models and what is beside them', async () => {
    const argv = ['convert', SOURCE, '-o', path('f'), '--layout', 'transformers.js', '--forms', 'f32,dynamic'];
    const dry = await run(...argv, '--json', '--dry-run');
    expect(dry.code, dry.err).toBe(0);
    expect(existsSync(path('f'))).toBe(false);
    const text = await run(...argv, '--dry-run');
    expect(text.out).toMatch(/^f32 +onnx\/model.onnx +[\d.]+ kB +- +not written$/m);
    expect(text.out).toMatch(/^beside {3}config.json[^\n]* {2}[\d.]+ k?B$/m);
    expect(text.out).toMatch(/^manifest <tmp>\/f\/mbert.json, not written$/m);
    const { results, sideFiles } = JSON.parse(dry.out);
    const told = [
      ...results.flatMap(({ files }: { files: { path: string; size: number }[] }) => files),
      ...sideFiles.map(({ path: name, size }: { path: string; size: number }) => ({ path: `<tmp>/f/${name}`, size })),
    ];
    expect((await run(...argv)).code).toBe(0);
    for (const { path: file, size } of told) expect(statSync(file.replace('<tmp>', folder)).size, file).toBe(size);
    const again = await run(...argv, '--dry-run');
    expect(again.err).toContain('note: <tmp>/f/onnx/model.onnx: would be replaced');
  });

  test('leaves a file that is there, and says that it would be replaced', async () => {
    await run('convert', SOURCE, '-o', path('m.onnx'));
    const before = readFileSync(path('m.onnx'));
    const { out, err } = await run('convert', SOURCE, '-o', path('m.onnx'), '--dtype', 'f16', '--dry-run');
    expect(err).toBe('note: <tmp>/m.onnx: would be replaced\n');
    expect(out).toMatch(/^<tmp>\/m.onnx {2}[\d.]+ kB, not written$/m);
    expect(readFileSync(path('m.onnx'))).toEqual(before);
  });

  test.each([
    [['convert', SOURCE, '-o', path('x.onnx'), '--verify'], '--dry-run: there is no file to --verify'],
    [
      ['quantize', SOURCE, '-o', path('x.onnx'), '--scheme', 'w4', '--dump-recipe', path('r.json')],
      '--dry-run: writes nothing, and --dump-recipe a file',
    ],
    [
      ['quantize', SOURCE, '-o', path('x.onnx'), '--scheme', 'w4', '--report', path('r.html')],
      '--dry-run: writes nothing, and --report a file',
    ],
    [
      ['convert', SOURCE, '-o', path('f'), '--forms', 'f32', '--dump-passes', path('dumps')],
      '--dry-run: writes nothing, and --dump-passes a folder',
    ],
  ])('contradicts %j', async (argv, message) => {
    expect(await run(...argv, '--dry-run')).toMatchObject({ code: 2, err: `${message}\n` });
  });
});

test.each([['convert'], ['quantize', '--scheme', 'w4']])(
  '--dry-run leaves the dumps that are there alone: %s',
  async (command, ...flags) => {
    const dumps = ['--dump-passes', path('dumps')];
    expect((await run('convert', SOURCE, '-o', path('d.onnx'), ...dumps)).code).toBe(0);
    const before = readdirSync(path('dumps'));
    const result = await run(command, SOURCE, '-o', path('x.onnx'), ...flags, ...dumps, '--dry-run');
    expect(result).toMatchObject({ code: 2, err: '--dry-run: writes nothing, and --dump-passes a folder\n' });
    expect(before).not.toEqual([]);
    expect(readdirSync(path('dumps'))).toEqual(before);
  },
);

test('a file that is too large is a no before it is compared', async () => {
  const texts = path('texts.txt');
  writeFileSync(texts, Array.from({ length: 80 }, (_, i) => `a film ${i}`).join('\n'));
  const argv = ['quantize', SOURCE, '-o', path('l.onnx'), '--scheme', 'dynamic', '--data', texts, '--json'];
  const { code, out } = await run(...argv, '--max-size', '100');
  const [file] = JSON.parse(out).results;
  expect(code).toBe(1);
  expect(file.failures).toEqual([
    expect.stringMatching(/^--max-size 100: the file has \d+ bytes, and was not compared$/),
  ]);
  expect(file.proof).toBeUndefined();
  const [fits] = JSON.parse((await run(...argv, '--max-size', '1MB')).out).results;
  expect(fits.proof.samples).toBe(80);
});
