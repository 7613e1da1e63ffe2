import { existsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const SOURCE = resolve('fixtures/hf-seqcls');
const run = (...argv: string[]) => runCommand(folder, ...argv);
const config = (value: unknown) => writeFileSync(join(folder, 'mbert.config.json'), JSON.stringify(value));

const home = process.cwd();
beforeEach(() => process.chdir(folder));
afterEach(() => process.chdir(home));

describe('mbert.config.json', () => {
  test('gives flags, required ones too, and is told', async () => {
    config({ quantize: { scheme: 'dynamic', output: 'a.onnx', 'bias-correction': false, keep: 'classifier' } });
    const { code, out, err } = await run('quantize', SOURCE);
    expect(err).toBe('note: mbert.config.json: --scheme=dynamic --output=a.onnx --keep=classifier\n');
    expect(code).toBe(0);
    expect(out).toContain('a.onnx  ');
  });

  test('gives way to the command line, and to --no-config', async () => {
    config({ convert: { output: 'config.onnx', outputs: ['logits'], quiet: true } });
    expect(await run('convert', SOURCE, '-o', 'line.onnx')).toMatchObject({ code: 0, err: '' });
    expect([existsSync('line.onnx'), existsSync('config.onnx')]).toEqual([true, false]);
    const without = await run('convert', SOURCE, '--no-config');
    expect(without.code).toBe(2);
    expect(without.err).toContain("required option '-o, --output <path>' not specified");
  });

  test('is told without what a terminal obeys', async () => {
    config({ inspect: { passes: '\u001b[31mred' } });
    const { code, err } = await run('inspect', SOURCE);
    expect(code).toBe(2);
    expect(err).toMatch(/^note: mbert\.config\.json: --passes=\\u001b\[31mred\n/);
  });

  test('says nothing to other commands', async () => {
    config({ convert: { opset: 18 } });
    expect(await run('passes')).toMatchObject({ code: 0, err: '' });
  });

  test.each<[unknown, string]>([
    [[], 'mbert.config.json: is an array, not an object'],
    [{ quantise: {} }, 'mbert.config.json: quantise: is no command\nhint: did you mean quantize?'],
    [{ convert: 3 }, 'mbert.config.json: convert: is 3, not an object'],
    [
      { convert: { opsett: 3 } },
      'mbert.config.json: convert.opsett: is no flag of mbert convert\nhint: did you mean opset?',
    ],
    [{ convert: { softmax: 'yes' } }, 'mbert.config.json: convert.softmax: is "yes", not true or false'],
    [{ convert: { opset: null } }, 'mbert.config.json: convert.opset: is null, not a text, a number or a list of them'],
  ])('%j is refused', async (value, message) => {
    config(value);
    expect(await run('convert', SOURCE, '-o', 'x.onnx')).toEqual({ code: 2, out: '', err: `${message}\n` });
  });
});

test('JSON that the config asks for is printed of failures as well', async () => {
  config({ convert: { json: true } });
  const { code, out } = await run('convert', 'nothing', '-o', 'x.onnx');
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({ version: 1, error: { code: 'NOT_FOUND' } });
});
