import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { Identities } from '../../../src/pipelines/batch/identity.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();
const model = join(folder, 'model');
const output = join(folder, 'out.onnx');
const texts = join(folder, 'texts.txt');

beforeEach(() => {
  mkdirSync(join(model, 'sub'), { recursive: true });
  writeFileSync(join(model, 'config.json'), '{}');
  writeFileSync(join(model, 'sub', 'weights.bin'), 'abc');
  writeFileSync(texts, 'a line');
  writeFileSync(output, 'written before');
});

/** Anew each time, as the next call of the program computes it. */
function identity(args = [model, '-o', output, `--calibrate=${texts}`], version = '1.0.0'): string {
  return new Identities(version, new Set(['-o'])).of({ name: 'a', command: 'quantize', args });
}

test('is the same for the same job, whatever stands where it writes', () => {
  const before = identity();
  writeFileSync(output, 'written again');
  expect(identity()).toBe(before);
});

test.each<[string, string, string]>([
  ['a file below the folder', join(model, 'sub', 'weights.bin'), 'abd'],
  ['a new file in the folder', join(model, 'vocab.txt'), ''],
  ['a file behind =', texts, 'another line'],
])('is another one with a change of %s', (_, path, content) => {
  const before = identity();
  writeFileSync(path, content);
  expect(identity()).not.toBe(before);
});

test('is another one with other flags and with another version', () => {
  const before = identity();
  expect(identity([model, '-o', output, `--calibrate=${texts}`, '--no-scan'])).not.toBe(before);
  expect(identity(undefined, '1.0.1')).not.toBe(before);
});

test('does not follow links to folders, which may lead in a circle', () => {
  symlinkSync(model, join(model, 'sub', 'above'));
  expect(identity()).toMatch(/^[0-9a-f]{64}$/);
});
