import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lintBytes, lintFile, predictXnnpack } from '../../src/pipelines/lint.ts';
import { Changes, goodFile, strictFile } from '../lint/sample.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbert-lint-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

test('a good file has nothing to say, and one partition', async () => {
  const path = write('good.tflite', await goodFile());
  expect(lintFile(path)).toMatchObject({ format: 'tflite', findings: [], ok: true });
  expect(predictXnnpack(path)).toMatchObject({ partitions: 1, failures: [] });
});

test('errors come before warnings, and decide', async () => {
  const file = new Changes(await strictFile());
  file.quantization('p').scale?.fill(1 / 255);
  const { findings, ok } = lintBytes(file.bytes(), 'strict.tflite');
  expect(ok).toBe(false);
  const severities = findings.map(({ severity }) => severity);
  expect(severities).toEqual([...severities].sort());
  expect(new Set(severities)).toEqual(new Set(['error', 'warning']));
  expect(lintBytes(await strictFile(), 'strict.tflite').ok).toBe(true);
});

test('other files have no rules', () => {
  const path = write('other.bin', new Uint8Array(64));
  expect(() => lintFile(path)).toThrow(expect.objectContaining({ code: 'UNKNOWN_FORMAT' }));
  expect(() => predictXnnpack(write('empty', new Uint8Array(0)))).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_FORMAT' }),
  );
  expect(() => lintFile(join(folder, 'none'))).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});
