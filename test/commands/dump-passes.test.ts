import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { parseGraph } from '../../src/ir/text.ts';
import { foldNoNorm } from '../../src/passes/fold-no-norm.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { unpacked } from '../unpacked.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const TEXTS = 'fixtures/mobilebert-demo/sst2-train-256.txt';

afterEach(() => vi.restoreAllMocks());

/** Names of the graphs in a folder of dumps. */
function graphsIn(...path: readonly string[]): string[] {
  return readdirSync(join(folder, ...path)).filter((name) => name.endsWith('.graph'));
}

function textOf(...path: readonly string[]): string {
  return readFileSync(join(folder, ...path), 'utf8');
}

const DEFAULT_ONNX = [
  '000-source.graph',
  '003-fuse-linear.graph',
  '004-fold-attention-scale.graph',
  '005-move-value-bias.graph',
  '006-fold-no-norm.graph',
  '007-drop-key-bias.graph',
  '009-fuse-bottleneck.graph',
  '010-flatten-tokens.graph',
];

describe('--dump-passes', () => {
  test('writes the graph behind each pass that changed it, the last one as it is in the file', async () => {
    const output = join(folder, 'one.onnx');
    const dump = join(folder, 'one');
    const { code, err } = await runCommand(folder, 'convert', 'fixtures/hf-qa', '-o', output, '--dump-passes', dump);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(graphsIn('one')).toEqual(DEFAULT_ONNX);
    const { out } = await runCommand(folder, 'inspect', '--graph', 'fixtures/hf-qa', '--target', 'onnx');
    expect(out).toContain(textOf('one', '010-flatten-tokens.graph'));
    for (const name of graphsIn('one')) expect(parseGraph(textOf('one', name)).outputs).toHaveLength(2);
  });

  test('writes beside each what has changed since the one before', () => {
    expect(textOf('one', '003-fuse-linear.diff')).toMatch(
      /^--- 000-source\.graph\n\+\+\+ 003-fuse-linear\.graph\n@@ -\d+,\d+ \+\d+,\d+ @@\n/,
    );
    const lines = textOf('one', '003-fuse-linear.diff').split('\n');
    const changed = (sign: string) => lines.slice(2).filter((line) => line.startsWith(sign));
    // A linear and its relu become one node, twelve times.
    expect([changed('-').length, changed('+').length]).toEqual([36, 24]);
    expect(changed('+').filter((line) => line.includes('{activation: relu}'))).toHaveLength(12);
    expect(existsSync(join(folder, 'one', '000-source.diff'))).toBe(false);
  });

  test('takes the dumps of an earlier run away first', async () => {
    writeFileSync(join(folder, 'one', '999-of-old.graph'), '');
    const flags = ['--passes', 'none,fuse-linear', '--dump-passes', join(folder, 'one')];
    await runCommand(folder, 'convert', 'fixtures/hf-qa', '-o', join(folder, 'one.onnx'), ...flags);
    expect(readdirSync(join(folder, 'one'))).toEqual([
      '000-source.graph',
      '001-fuse-linear.diff',
      '001-fuse-linear.graph',
    ]);
  });

  test('keeps two formats apart, behind what runs for both', async () => {
    const dump = join(folder, 'two');
    const source = join(unpacked('fixtures/onnx-qa-ts'), 'model.onnx');
    for (let run = 0; run < 2; run++) {
      const flags = ['-o', join(folder, 'both'), '--dump-passes', dump, '--verify'];
      expect((await runCommand(folder, 'convert', source, ...flags)).code).toBe(0);
    }
    expect(readdirSync(dump).filter((name) => !name.endsWith('.diff'))).toEqual([
      '000-source.graph',
      '004-raise-layout.graph',
      '008-raise-scale.graph',
      '011-raise-reshape.graph',
      '012-raise-linear.graph',
      '016-raise-no-norm.graph',
      '023-raise-attention.graph',
      'onnx',
      'tflite',
    ]);
    expect(graphsIn('two', 'onnx')).toEqual(DEFAULT_ONNX);
    expect(graphsIn('two', 'tflite').at(-1)).toBe('010-trigram-to-convolution.graph');
  });

  test('dumps passes that are fitted, where they run', async () => {
    const flags = ['--passes', 'gelu-to-relu,split-embedding', '--embedding-rank', '4', '--calibrate', TEXTS];
    const output = [
      '-o',
      join(folder, 'fitted.onnx'),
      '--batch',
      '1',
      '--dump-passes',
      join(folder, 'fitted'),
      '--samples',
      '60',
    ];
    const source = 'fixtures/hf-qa-nonorm-gelu';
    expect((await runCommand(folder, 'convert', source, ...output, ...flags)).code).toBe(0);
    expect(graphsIn('fitted').slice(0, 5)).toEqual([
      '000-source.graph',
      '003-split-embedding.graph',
      '004-gelu-to-relu.graph',
      '005-built.graph',
      '008-fuse-linear.graph',
    ]);
    // A batch of 1 in place of a symbol.
    expect(textOf('fitted', '005-built.graph')).toMatch(/^graph \S+ \(input_ids: i64\[1, sequence\]/);
  });

  test('dumps what quantize writes, and not the twin of fixed length that is run', async () => {
    const flags = ['--scheme', 'f16', '--sequence-length', 'dynamic', '--dump-passes', join(folder, 'halves')];
    const output = join(folder, 'halves.tflite');
    expect((await runCommand(folder, 'quantize', 'fixtures/hf-qa', '-o', output, ...flags)).code).toBe(0);
    expect(graphsIn('halves').at(-1)).toBe('010-trigram-to-convolution.graph');
  });

  test.each([
    ['as the source has it', [], ['000-source.graph']],
    ['for a format', ['--target', 'onnx'], DEFAULT_ONNX],
  ])('inspect dumps the graph %s', async (_, flags, names) => {
    const dump = join(folder, 'inspected');
    expect((await runCommand(folder, 'inspect', 'fixtures/hf-qa', '--dump-passes', dump, ...flags)).code).toBe(0);
    expect(graphsIn('inspected')).toEqual(names);
  });

  test.each([
    ['notes.txt', 'notes.txt is no dump of a pass'],
    ['000-source.graph.bak', '000-source.graph.bak is no dump of a pass'],
    ['onnx/notes.txt', 'notes.txt is no dump of a pass'],
    ['onnx/000-source.graph/x', '000-source.graph is no dump of a pass'],
    ['onnx/onnx/000-source.graph', 'onnx is no dump of a pass'],
    ['other/000-source.graph', 'other is no dump of a pass'],
  ])('refuses a folder with %s in it, and touches nothing', async (file, problem) => {
    const dump = join(folder, 'refused', file.replaceAll('/', '-'));
    mkdirSync(join(dump, file, '..'), { recursive: true });
    writeFileSync(join(dump, file), 'mine');
    writeFileSync(join(dump, '001-fold-constants.graph'), 'an earlier dump');
    const output = join(folder, 'refused.onnx');
    const flags = ['-o', output, '--dump-passes', dump];
    const { code, out, err } = await runCommand(folder, 'convert', 'fixtures/hf-qa', ...flags);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(problem);
    expect(readFileSync(join(dump, file), 'utf8')).toBe('mine');
    expect(existsSync(join(dump, '001-fold-constants.graph'))).toBe(true);
    expect(existsSync(output)).toBe(false);
  });

  test('refuses a file', async () => {
    const dump = join(folder, 'file');
    writeFileSync(dump, '');
    const { code, err } = await runCommand(folder, 'inspect', 'fixtures/hf-qa', '--dump-passes', dump);
    expect({ code, err }).toEqual({ code: 2, err: '--dump-passes: <tmp>/file is not a folder\n' });
  });

  test('makes no folder where nothing is read', async () => {
    const dump = join(folder, 'unread');
    expect((await runCommand(folder, 'inspect', join(folder, 'absent'), '--dump-passes', dump)).code).toBe(2);
    expect(existsSync(dump)).toBe(false);
  });
});

describe('--time-passes', () => {
  const rowsOf = (err: string) => err.split('\n').map((line) => line.split(/ {2,}/)[0]);

  test('prints each pass to stderr, in the order in which they ran', async () => {
    const output = join(folder, 'timed.onnx');
    const { code, out, err } = await runCommand(folder, 'convert', 'fixtures/hf-qa', '-o', output, '--time-passes');
    expect(code).toBe(0);
    expect(out).not.toContain('rewrites');
    expect(rowsOf(err).slice(0, 4)).toEqual(['pass', 'fold-constants', 'shift-distances', 'fuse-linear']);
    expect(err).toMatch(/^fuse-linear +\d+\.\d\d +12$/m);
  });

  test('is passTimes in JSON, which is as before without it', async () => {
    const flags = ['-o', join(folder, 'timed'), '--json'];
    const plain = await runCommand(folder, 'convert', 'fixtures/hf-qa', ...flags);
    const timed = await runCommand(folder, 'convert', 'fixtures/hf-qa', ...flags, '--time-passes');
    const { passTimes, ...rest } = JSON.parse(timed.out);
    expect(rest).toEqual(JSON.parse(plain.out));
    expect(passTimes).toContainEqual({ pass: 'fuse-linear', format: 'onnx', timeMs: expect.any(Number), rewrites: 12 });
    expect(passTimes.map(({ pass, format }: { pass: string; format: string }) => `${format} ${pass}`)).toEqual(
      rest.results.flatMap(({ target, passes }: { target: string; passes: { name: string }[] }) =>
        passes.map(({ name }) => `${target} ${name}`),
      ),
    );
  });

  test('inspect and quantize have it as well', async () => {
    const inspected = await runCommand(
      folder,
      'inspect',
      'fixtures/hf-qa',
      '--target',
      'onnx',
      '--json',
      '--time-passes',
    );
    expect(JSON.parse(inspected.out).passTimes).toHaveLength(11);
    const flags = ['--scheme', 'dynamic', '--json', '--time-passes', '-o', join(folder, 'timed-dynamic.onnx')];
    const quantized = await runCommand(folder, 'quantize', 'fixtures/hf-qa', ...flags);
    expect(JSON.parse(quantized.out).passTimes).toHaveLength(16);
  });
});

test('a bug in a pass says where it happened and how to see the graph there', async () => {
  vi.spyOn(foldNoNorm, 'run').mockImplementation(() => {
    throw new TypeError('gauge is undefined');
  });
  const dump = join(folder, 'bug');
  const flags = ['-o', join(folder, 'bug.onnx'), '--dump-passes', dump];
  const { code, out, err } = await runCommand(folder, 'convert', 'fixtures/hf-qa', ...flags);
  expect({ code, out }).toEqual({ code: 70, out: '' });
  expect(err).toContain('TypeError: gauge is undefined\n    at ');
  expect(err.split('\n')).toContain(
    'in pass fold-no-norm, behind fold-constants, shift-distances, fuse-linear, fold-attention-scale, move-value-bias; --dump-passes DIR writes the graph before it',
  );
  expect(graphsIn('bug').at(-1)).toBe('005-move-value-bias.graph');
  expect(existsSync(join(folder, 'bug.onnx'))).toBe(false);
});
