import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../pipelines/written.ts';
import { runCommand } from './run.ts';

const folder = temporaryFolder();

/** Unpacks an attack as its own model under the name that its format has. */
function unpacked(name: string): string {
  const extension = /\.(\w+)$/.exec(name)?.[1] ?? '';
  const names: { readonly [extension: string]: string } = { bin: 'pytorch_model.bin', index: 'model.ckpt.index' };
  const own = join(folder, name);
  mkdirSync(own, { recursive: true });
  const path = join(own, names[extension] ?? `model.${extension}`);
  writeFileSync(path, gunzipSync(readFileSync(`fixtures/attacks/${name}.gz`)));
  return path;
}

/** Files of a few bytes or kilobytes that took gigabytes, hours or an exit code of 70, and what is said of them now. */
const REFUSED: readonly (readonly [name: string, problem: string])[] = [
  ['graphdef-call-doubling.pb', 'calls open more than 400000 nodes'],
  ['graphdef-calls-scope.pb', 'calls open more than 400000 nodes'],
  ['graphdef-empty-nodes-8M.pb', 'node: is there 7900000 times, and 200000 is the limit'],
  ['graphdef-op-__proto__.pb', 'tflite has no lowering for __proto__'],
  ['graphdef-op-hasOwnProperty.pb', 'tflite has no lowering for hasOwnProperty'],
  ['leveldb-dead-block.index', 'block at 0: overlaps the block before it'],
  ['onnx-concat-doubling.onnx', 'l30: has 2147483648 elements along an axis'],
  ['onnx-dim-over-int32.onnx', 'x: has 4294967297 elements along an axis, and tflite ends at 2147483647'],
  ['onnx-empty-nodes-8M.onnx', 'node: is there 7900000 times, and 200000 is the limit'],
  ['onnx-range-empty.onnx', 'tflite has no lowering for Range (a Range without its bounds)'],
  ['onnx-reshape-const.onnx', 'reshape of [4] to [1000, 1000]'],
  ['onnx-unsqueeze-rank.onnx', 'makes a value of 4098 axes, and 32 is the limit'],
  ['pickle-name-deep.bin', 'pickle names a class by what is no text'],
  ['pickle-name-exponential.bin', 'pickle names a class by what is no text'],
];

describe('convert refuses, and writes nothing for,', () => {
  test.each(REFUSED)('%s', async (name, problem) => {
    const path = unpacked(name);
    const before = readdirSync(join(folder, name));
    const { code, err } = await runCommand(folder, 'convert', path, '-o', join(folder, name, 'out.tflite'));
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(problem) });
    expect(readdirSync(join(folder, name))).toEqual(before);
  });
});

/** Sound graphs that stay small only where not everything is computed that could be. */
const LEFT = ['onnx-expand-bomb.onnx', 'onnx-matmul-const-chain.onnx', 'graphdef-fill-bomb.pb'] as const;

test.each(LEFT)('%s is read, and what is too much to compute stays in the graph', async (name) => {
  const { code, err } = await runCommand(folder, 'inspect', unpacked(name));
  expect(code).toBe(0);
  expect(err).toContain('the graph has more to compute from constants than a model needs');
});

/** Characters below a space that are no line break. */
const CONTROLS = /(?!\n)\p{Cc}/u;

describe('names of a stranger', () => {
  test('reach neither the terminal nor the log of a workflow', async () => {
    for (const [name, ...argv] of [
      ['onnx-newline-names.onnx', 'convert', '-o', join(folder, 'named.tflite')],
      ['onnx-newline-names.onnx', 'inspect'],
      ['onnx-newline-names.onnx', 'inspect', '--graph'],
      ['safetensors-escape-name.safetensors', 'inspect'],
    ] as const) {
      const { out, err } = await runCommand(folder, ...argv, unpacked(name));
      const lines = (out + err).split('\n');
      expect(lines.filter((line) => /^\s*::|##\[/.test(line) || CONTROLS.test(line))).toEqual([]);
      expect(out + err).toContain('\\n::');
    }
  });

  test('come back from the text that inspect prints', async () => {
    const model = unpacked('onnx-newline-names.onnx');
    const { out } = await runCommand(folder, 'inspect', '--graph', model);
    const lock = join(folder, 'names.graph');
    writeFileSync(lock, out);
    expect((await runCommand(folder, 'diff', lock, model)).code).toBe(0);
  });

  test('call nobody and link nowhere in Markdown', async () => {
    const { out } = await runCommand(
      folder,
      'diff',
      unpacked('onnx-newline-names.onnx'),
      unpacked('onnx-reshape-const.onnx'),
      '--format',
      'markdown',
    );
    expect(out).toContain('@\u2060everyone');
    expect(out).not.toMatch(/@everyone|https:\/\//);
  });
});

describe('graph text', () => {
  const diffed = (text: string) => {
    const path = join(folder, 'attack.graph');
    writeFileSync(path, text);
    return runCommand(folder, 'diff', path, path);
  };

  test('may hold a name of ten megabytes', async () => {
    const name = JSON.stringify('x'.repeat(10_000_000));
    expect((await diffed(`graph g (${name}: f32[1])\nreturn y: ${name}`)).code).toBe(0);
  });

  test('cannot ask for gigabytes of scales', async () => {
    const constant = (i: number) => `  y${i} = add(x, w${i} i8[9000000, 1] q(axis 0, #0000000${i}) #00000000)`;
    const text = (count: number) =>
      `graph g (x: f32[1])\n${Array.from({ length: count }, (_, i) => constant(i)).join('\n')}\nreturn y: y0`;
    expect((await diffed(text(1))).code).toBe(0);
    expect(await diffed(text(2))).toMatchObject({ code: 2, err: expect.stringContaining('scales are over 16777216') });
  });
});
