import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openBelow, openFile } from '../../src/io/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'mbert-files-'));
afterAll(() => rmSync(folder, { recursive: true }));

mkdirSync(join(folder, 'model/data'), { recursive: true });
for (const path of ['secret', 'model/m.onnx', 'model/a.bin', 'model/data/a.bin'])
  writeFileSync(join(folder, path), path);

function textOf(name: string): string {
  const model = openFile(join(folder, 'model/m.onnx'));
  const file = openBelow(model, name);
  try {
    return new TextDecoder().decode(file.read(0, file.size));
  } finally {
    file.close();
    model.close();
  }
}

test.each([
  ['a.bin', 'model/a.bin'],
  ['./a.bin', 'model/a.bin'],
  ['data/a.bin', 'model/data/a.bin'],
  ['./data/./a.bin', 'model/data/a.bin'],
])('%s is opened in the folder of the model', (name, found) => {
  expect(textOf(name)).toBe(found);
});

test.each(['../secret', 'data/../../secret', join(folder, 'secret'), '..\\secret', 'data//a.bin', ''])(
  '%j is not opened',
  (name) => {
    expect(() => textOf(name)).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
  },
);
