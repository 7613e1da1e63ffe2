import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ENCODER, filesIn, folderWith } from '../pipelines/folder/folders.ts';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();
const run = (...argv: readonly string[]) => runCommand(folder, 'convert', ENCODER, ...argv);

const words = readFileSync(join(ENCODER, 'vocab.txt'), 'utf8')
  .split('\n')
  .filter((word) => /^[a-z]{3,}$/.test(word));
folderWith(folder, { 'texts.txt': words.map((word, i) => `${word} ${words[(3 * i) % 90]}`).join('\n') });

/** Numbers that differ from processor to processor. */
const rounded = (text: string) =>
  text.replaceAll(/\d+\.\d dB/g, '<n> dB').replaceAll(/onnxruntime [\d.]+/g, 'onnxruntime');

test('a folder is told form by form, with what opens each and what lies beside', async () => {
  const { code, out, err } = await run('-o', join(folder, 'web'), '--layout', 'transformers.js', '--forms', 'f32,f16');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(rounded(out)).toMatchInlineSnapshot(`
    "bert, features, for transformers.js: <tmp>/web

    form  file                      size      SQNR  equal answers  cosine  measured on
    f32   onnx/model.onnx       274.6 kB  <n> dB                 1.0000  16 seeded token sequences, beside the source, onnxruntime
    f16   onnx/model_fp16.onnx  170.0 kB   <n> dB                 1.0000  16 seeded token sequences, beside the source, onnxruntime

    opened by
      f32  dtype: "fp32"
      f16  dtype: "fp16"

    beside   config.json
    beside   tokenizer.json (made)
    beside   tokenizer_config.json (made)
    beside   vocab.txt
    manifest <tmp>/web/mbert.json
    "
  `);
});

test('a form that loses too much is exit code 1, says so and stays', async () => {
  const output = join(folder, 'strict');
  const evidence = ['--calibrate', join(folder, 'texts.txt'), '--samples', '32', '--max-drop', '0'];
  const { code, out } = await run('-o', output, '--layout', 'transformers.js', '--forms', 'f32,w4', ...evidence);
  expect(code).toBe(1);
  expect(out).toMatch(/^FAILED {3}--max-drop 0: mean cosine fell by [\d.]+ points$/m);
  expect(filesIn(output)).toContain('onnx/model_q4.onnx');
});

test('a form that asks for a runtime says so', async () => {
  const { out } = await run('-o', join(folder, 'bits'), '--layout', 'transformers.js', '--forms', 'f32,w4');
  expect(out.match(/^needs .*$/gm)).toEqual(['needs    w4: ONNX Runtime 1.20 or newer: com.microsoft::MatMulNBits']);
});

test('every form is measured, and that is not asked for', async () => {
  const { code, err } = await run('-o', join(folder, 'verified'), '--forms', 'f32', '--verify');
  expect({ code, err }).toEqual({
    code: 2,
    err: `--verify: --layout and --forms measure every form without it
hint: leave it out: every form is run beside what it was made of, and mbert.json has the numbers
`,
  });
  expect(existsSync(join(folder, 'verified'))).toBe(false);
});

test.each([
  ['--layout', 'transformers.js'],
  ['--forms', 'f32'],
])('a folder is not written to standard output: %s %s', async (...flags) => {
  const { code, err } = await run('-o', '-', ...flags);
  expect(code).toBe(2);
  expect(err).toContain('--output -: a model is written to a file, not to standard output\n');
  expect(existsSync('-')).toBe(false);
});

test('halves are a form, and not asked for twice', async () => {
  const { code, err } = await run('-o', join(folder, 'twice'), '--forms', 'f32', '--dtype', 'f16');
  expect({ code, err }).toEqual({
    code: 2,
    err: '--dtype f16: --layout and --forms write forms\nhint: say --forms f16\n',
  });
});
