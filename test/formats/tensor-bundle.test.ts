import { describe, expect, test } from 'vitest';
import {
  bundleIndexName,
  isBundleIndex,
  readTensorBundle,
  type TensorBundle,
} from '../../src/formats/tensor-bundle.ts';
import type { ModelFile } from '../../src/io/files.ts';
import { readIntegers } from '../../src/ir/tensor.ts';
import { block, entry, header, indexOf, type Pair, sealed, table } from './bundle-files.ts';
import { memoryFile, pack } from './memory-file.ts';

const DT = { float: 1, int32: 3, string: 7 } as const;
const one = pack([4, 1], [4, 2]);
const two = pack([4, 3]);

function read(index: Uint8Array, shards: readonly Uint8Array[], name = 'm.index'): TensorBundle {
  const digits = (value: number) => String(value).padStart(5, '0');
  const beside = new Map(shards.map((bytes, i) => [`m.data-${digits(i)}-of-${digits(shards.length)}`, bytes]));
  return readTensorBundle(memoryFile(name, index, beside), []);
}

const A: Pair = ['a', entry({ dtype: DT.int32, shape: [2], offset: 0, data: one })];

describe('reads', () => {
  test('tensors from several data files', () => {
    const b = entry({ dtype: DT.int32, shape: [1, 1], shard: 1, offset: 4, data: two });
    const opened: ModelFile[] = [];
    const index = memoryFile(
      'm.index',
      indexOf([A, ['b', b]], 2),
      new Map([
        ['m.data-00000-of-00002', one],
        ['m.data-00001-of-00002', pack('skip', two)],
      ]),
    );
    const { tensors } = readTensorBundle(index, opened);
    expect([...tensors].map(([name, tensor]) => [name, tensor.shape, readIntegers(tensor)])).toEqual([
      ['a', [2], [1, 2]],
      ['b', [1, 1], [3]],
    ]);
    expect(opened.map(({ path }) => path)).toEqual(['m.data-00000-of-00002', 'm.data-00001-of-00002']);
  });

  test('what is no tensor of numbers as a name', () => {
    const text = entry({ dtype: DT.string, shape: [], offset: 8, data: two, size: 4 });
    expect(read(indexOf([A, ['graph', text]]), [one]).others).toEqual(['graph']);
  });

  test('no data file before it is needed', () => {
    expect([...read(indexOf([]), []).tensors]).toEqual([]);
  });
});

test('verifies a checksum once, when the tensor is read', () => {
  const { tensors } = read(indexOf([A]), [pack([4, 1], [4, 9])]);
  expect(() => tensors.get('a')?.bytes()).toThrow('m.data-00000-of-00001: a: its checksum does not match');
});

test('knows the index of its files, and its files by their end', () => {
  expect(['m.ckpt.index', 'm.ckpt.data-00003-of-00010', 'm.ckpt.meta'].map(bundleIndexName)).toEqual([
    'm.ckpt.index',
    'm.ckpt.index',
    undefined,
  ]);
  expect(isBundleIndex(memoryFile('x', indexOf([])))).toBe(true);
  expect(isBundleIndex(memoryFile('x', one))).toBe(false);
});

describe('refuses', () => {
  const int32 = (fields: Partial<Parameters<typeof entry>[0]>): Pair => [
    'a',
    entry({ dtype: DT.int32, shape: [2], offset: 0, data: one, ...fields }),
  ];
  const headed = (first: Uint8Array) => table([sealed(block([['', first]], true))]);

  test.each<[what: string, index: Uint8Array, problem: string]>([
    ['a bundle without a header', table([sealed(block([A], true))]), 'm.index: has no header entry'],
    ['no data files', headed(header(0)), 'header: names 0 data files'],
    ['a million data files', headed(header(1e6)), 'header: names 1000000 data files'],
    ['another byte order', headed(header(1, 1)), 'big-endian'],
    ['a header that is none', headed(pack('hello')), 'header'],
    ['another size', indexOf([int32({ shape: [3] })]), 'a: has 8 bytes, but i32[3] takes 12'],
    ['a size beyond counting', indexOf([int32({ shape: [2 ** 40, 2 ** 40] })]), 'overflows'],
    ['a data file that there is not', indexOf([int32({ shard: 1 })]), 'a: lies in data file 1 of 1'],
    ['an offset beyond counting', indexOf([int32({ offset: 2 ** 53 - 1 })]), 'a: lies at offset'],
    [
      'a data file that ends',
      indexOf([int32({ offset: 4 })]),
      'm.data-00000-of-00001: ends at 8 bytes, but a needs bytes 4 to 12',
    ],
    ['partitioned variables', indexOf([['\0\x01a', A[1]]]), 'holds slices of partitioned variables'],
    ['a partitioned variable', indexOf([['a', pack(A[1], Uint8Array.of(0x3a, 0))]]), 'a: is a partitioned variable'],
  ])('%s', (_, index, problem) => {
    expect(() => read(index, [one])).toThrow(expect.objectContaining({ message: expect.stringContaining(problem) }));
  });

  test('a missing data file', () => {
    expect(() => read(indexOf([A]), [])).toThrow('its data file m.data-00000-of-00001 does not exist');
  });

  test('checkpoints of version 1', () => {
    expect(() => read(indexOf([A]), [one], 'model.ckpt')).toThrow(
      'TensorFlow checkpoints of version 1 are not supported',
    );
  });
});
