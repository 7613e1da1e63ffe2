import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runtimeFor } from '../../src/runtimes/index.ts';
import { importOptional } from '../../src/runtimes/runtime.ts';
import { readOracle } from './oracle.ts';

const onnx = readOracle('mini-onnx-qa').path('model.onnx');
const tflite = readOracle('mini-tflite-qa').path('model.tflite');

describe('runtimeFor', () => {
  test.each([
    [onnx, 'onnxruntime'],
    [tflite, 'litert'],
  ])('tells the runtime of a file by its content', (path, name) => {
    expect(runtimeFor(path).name).toBe(name);
    expect(runtimeFor(readFileSync(path)).name).toBe(name);
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a zip', Buffer.from('PK\x03\x04\x14\0\0\0\x08\0\0\0')],
    ['safetensors', Buffer.from('\x08\x02\0\0\0\0\0\0{"__metadata__"'.replace('\x02', '\xff'), 'latin1')],
    ['JSON', Buffer.from('{"a": 1}')],
  ])('refuses %s', (_, bytes) => {
    expect(() => runtimeFor(bytes)).toThrow(expect.objectContaining({ code: 'UNKNOWN_FORMAT' }));
  });

  test('refuses a text file by name', () => {
    const path = readOracle('mini-onnx-qa').path('vocab.txt');
    expect(() => runtimeFor(path)).toThrow(`${path}: no runtime takes it`);
  });
});

test('a package that is not installed is named with the command that installs it', async () => {
  const absent = 'mbert-has-no-such-package';
  await expect(importOptional('onnxruntime-node', () => import(absent))).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/^onnxruntime-node: cannot be loaded: /),
    hint: 'npm install onnxruntime-node',
  });
});
