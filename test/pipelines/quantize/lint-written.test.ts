import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withLint } from '../../../src/pipelines/quantize/lint-written.ts';
import type { QuantizedFile } from '../../../src/pipelines/quantize/types.ts';
import { Changes, goodFile, strictFile } from '../../lint/sample.ts';
import { temporaryFolder } from '../written.ts';

const folder = temporaryFolder();

function linted(bytes: Uint8Array) {
  const path = join(folder, 'model.tflite');
  writeFileSync(path, bytes);
  const file = { files: [{ path, size: bytes.byteLength }], warnings: ['known'], failures: ['lost'] };
  const { warnings, failures } = withLint(file as unknown as QuantizedFile);
  const shown = (texts: readonly string[]) => texts.map((text) => text.replace(path, 'FILE'));
  return { warnings: shown(warnings), failures: shown(failures) };
}

test('a good file has nothing to add', async () => {
  expect(linted(await goodFile())).toEqual({ warnings: ['known'], failures: ['lost'] });
});

test('what rules call an error makes the answer no, one for each rule', async () => {
  const file = new Changes(await strictFile());
  for (const name of ['p', 's']) file.quantization(name).scale?.fill(1 / 255);
  const { warnings, failures } = linted(file.bytes());
  expect(warnings[0]).toBe('known');
  expect(warnings).toContainEqual('FILE: r: RELU of INT8 stands alone (fused-activations)');
  expect(failures).toEqual(['lost', expect.stringMatching(/^FILE: p: .* \(fixed-scales, and 1 more\)$/)]);
});

test('what is alone is told without how many more there are', async () => {
  const file = new Changes(await strictFile());
  file.quantization('p').scale?.fill(1 / 255);
  expect(linted(file.bytes()).failures[1]).toMatch(/\(fixed-scales\)$/);
});

test('a file that was not written is not asked', () => {
  const file = { files: [], warnings: [], failures: [] } as unknown as QuantizedFile;
  expect(withLint(file)).toBe(file);
});
