import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readNpz } from '../../src/formats/npz.ts';
import { openFile } from '../../src/io/files.ts';
import { readIntegers, type Tensor } from '../../src/ir/tensor.ts';

function arraysOf(bytes: Uint8Array): [string, Tensor][] {
  const folder = mkdtempSync(join(tmpdir(), 'mbert-'));
  const path = join(folder, 'a.npz');
  writeFileSync(path, bytes);
  const file = openFile(path);
  try {
    return [...readNpz(file)].map(([name, read]) => [name, read()]);
  } finally {
    file.close();
    rmSync(folder, { recursive: true });
  }
}

test.each(['stored', 'deflated'])('readNpz reads %s arrays', (form) => {
  const arrays = arraysOf(readFileSync(`fixtures/samples/${form}.npz`));
  expect(arrays.map(([name, array]) => [name, array.dtype, array.shape, readIntegers(array)])).toEqual([
    ['input_ids', 'i64', [2, 6], [2, 5, 6, 3, 0, 0, 2, 7, 8, 9, 4, 3]],
    ['attention_mask', 'i32', [2, 6], [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]],
    ['token_type_ids', 'u8', [2, 6], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1]],
    ['labels', 'i64', [2], [1, 0]],
  ]);
});

describe('readNpz refuses', () => {
  /** Changes bytes behind the first place where `before` stands, the directory's entry being the last. */
  function patched(form: string, find: (bytes: Buffer) => number, value: readonly number[]): Buffer {
    const bytes = readFileSync(`fixtures/samples/${form}.npz`);
    bytes.set(value, find(bytes));
    return bytes;
  }
  const directory = (bytes: Buffer) => bytes.indexOf(Buffer.from([0x50, 0x4b, 1, 2]));

  test.each<[string, Buffer, string, RegExp]>([
    [
      'a claim of two gigabytes',
      patched('deflated', (bytes) => directory(bytes) + 24, [0, 0, 0, 0x7f]),
      'UNSUPPORTED',
      /input_ids\.npy: its arrays take more than 268435456 bytes/,
    ],
    [
      'an array that inflates to less than it claims',
      patched('deflated', (bytes) => directory(bytes) + 24, [0xff, 1, 0, 0]),
      'MALFORMED',
      /input_ids\.npy: inflates to \d+ bytes instead of 511/,
    ],
    [
      'an array that inflates to more than it claims',
      patched('deflated', (bytes) => directory(bytes) + 24, [9, 0, 0, 0]),
      'MALFORMED',
      /input_ids\.npy: does not inflate to its 9 bytes/,
    ],
    [
      'a stored array with two sizes',
      patched('stored', (bytes) => directory(bytes) + 24, [9, 0, 0, 0]),
      'MALFORMED',
      /input_ids\.npy: is stored as 224 bytes of 9/,
    ],
    [
      'an array that is no .npy file',
      patched('stored', (bytes) => bytes.indexOf('NUMPY'), [0]),
      'MALFORMED',
      /input_ids: is not a \.npy file/,
    ],
    [
      'an archive without its end',
      readFileSync('fixtures/samples/stored.npz').subarray(0, 900),
      'MALFORMED',
      /is a zip archive without a directory/,
    ],
  ])('%s', (_, bytes, code, message) => {
    expect(() => arraysOf(bytes)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
