import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodeOnnx } from '../../src/formats/onnx-encode.ts';
import { lintBytes, lintFile, predictXnnpack } from '../../src/lint/lint-file.ts';
import { integers, staticModel } from './onnx-sample.ts';
import { Changes, goodFile, strictFile } from './sample.ts';

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

describe('external data', () => {
  /** The model with its weights in a file beside it, which the model calls by another name of as many letters. */
  async function external(folderName: string, location: string): Promise<string> {
    const fileName = 'm'.repeat(location.length - '.data'.length);
    const into = join(folder, folderName);
    mkdirSync(into);
    // Only tensors of 1 KiB and more leave the model's own file.
    const model = staticModel();
    const wide = model.initializers.map((each) =>
      each.name === 'up.weight' ? { ...each, tensor: integers('i8', [128, 16], [1]) } : each,
    );
    for (const file of encodeOnnx({ ...model, initializers: wide }, { fileName, externalData: true })) {
      const parts: Uint8Array[] = [];
      for await (const chunk of file.chunks) parts.push(chunk);
      const bytes = Buffer.concat(parts);
      if (file.name !== fileName) {
        writeFileSync(join(into, 'weights.data'), bytes);
        continue;
      }
      const text = bytes.toString('latin1').replaceAll(`${fileName}.data`, location);
      writeFileSync(join(into, 'model.onnx'), Buffer.from(text, 'latin1'));
    }
    return join(into, 'model.onnx');
  }

  test.each([
    ['leaves', '../weights.data', "leaves the model's folder"],
    ['absolute', '/tmp/weights.data', "leaves the model's folder"],
    ['missing', 'nothing-there.data', 'does not exist'],
  ])('a path that %s is an error', async (name, location, problem) => {
    const { findings, ok } = lintFile(await external(name, location));
    const where = JSON.stringify(location);
    expect(findings).toEqual([
      { rule: 'external-data', severity: 'error', where, problem: `external data: the file ${problem}` },
    ]);
    expect(ok).toBe(false);
  });

  test('weights beside the model are read', async () => {
    const { findings } = lintFile(await external('beside', 'weights.data'));
    expect(findings.map(({ rule }) => rule)).not.toContain('external-data');
  });
});

test('a damaged ONNX file is refused, whatever its end', async () => {
  const [file] = encodeOnnx(staticModel(), { fileName: 'model.onnx' });
  const parts: Uint8Array[] = [];
  for await (const chunk of file?.chunks ?? []) parts.push(chunk);
  const bytes = Buffer.concat(parts);
  for (let sixteenth = 0; sixteenth < 16; sixteenth++) {
    const path = write(`${sixteenth}.onnx`, bytes.subarray(0, Math.floor((bytes.length * sixteenth) / 16)));
    expect(() => lintFile(path)).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
  }
  expect(lintFile(write('whole.onnx', bytes))).toEqual({ format: 'onnx', rules: 18, findings: [], ok: true });
});
