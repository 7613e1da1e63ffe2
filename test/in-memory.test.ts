import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { convertInMemory, type Files, quantizeInMemory } from '../src/in-memory.ts';
import { convert } from '../src/pipelines/convert/convert.ts';
import { temporaryFolder } from './pipelines/written.ts';

const folder = temporaryFolder();
const scratch = join(folder, 'scratch');
const SOURCE = 'fixtures/hf-seqcls';

beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  vi.stubEnv('TMPDIR', scratch);
});
afterEach(() => {
  vi.unstubAllEnvs();
  expect(readdirSync(scratch).filter((name) => name.startsWith('mbert'))).toEqual([]);
});

/** The files of a folder, without folders in it. */
const filesOf = (path: string): Files =>
  Object.fromEntries(
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => [name, new Uint8Array(readFileSync(join(path, name)))]),
  );

describe('bytes in, bytes out', () => {
  test('are those that files have', async () => {
    const { files, result } = await convertInMemory({ source: filesOf(SOURCE), format: 'onnx', opset: 18 });
    expect(Object.keys(files)).toEqual(['model.onnx']);
    await convert({ source: SOURCE, output: join(folder, 'model.onnx'), opset: 18 });
    expect(Buffer.from(files['model.onnx'] ?? [])).toEqual(readFileSync(join(folder, 'model.onnx')));
    expect(result.task).toBe('sequence-classification');
  });

  test('go on from one call to the next, with external data', async () => {
    const first = await convertInMemory({ source: filesOf(SOURCE), format: 'onnx', externalData: true });
    expect(Object.keys(first.files)).toEqual(['model.onnx', 'model.onnx.data']);
    const second = await quantizeInMemory({ source: first.files, format: 'tflite', scheme: 'dynamic' });
    expect(Object.keys(second.files)).toEqual(['model.tflite']);
    expect(Buffer.from(second.files['model.tflite']?.subarray(4, 8) ?? []).toString()).toBe('TFL3');
  });

  test.each<[string, Files, string]>([
    ['nothing', {}, 'source: has no files'],
    ['a name that leaves the folder', { '../model.onnx': Uint8Array.of(1) }, 'leaves the model'],
    ['bytes that are no model', { 'model.onnx': Uint8Array.of(1, 2, 3) }, 'model.onnx'],
  ])('%s is refused', async (_, source, message) => {
    await expect(convertInMemory({ source, format: 'onnx' })).rejects.toThrow(message);
  });

  test('end at a signal', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(convertInMemory({ source: filesOf(SOURCE), format: 'onnx', signal })).rejects.toThrow('enough');
  });
});
