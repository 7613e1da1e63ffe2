import { describe, expect, test } from 'vitest';
import { readHdf5 } from '../../src/formats/hdf5.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import {
  contiguous,
  dataset,
  floatType,
  type H5Object,
  h5File,
  integerType,
  type Message,
  space,
  UNDEFINED,
} from './hdf5-files.ts';
import { memoryFile, pack } from './memory-file.ts';

function read(bytes: Uint8Array): ReadonlyMap<string, Tensor> {
  return readHdf5(memoryFile('m.h5', bytes));
}

/** A file whose only dataset has these messages; the data are 8 bytes. */
function withMessages(of: (address: number) => readonly Message[]): Uint8Array {
  return h5File(new Map<string, H5Object>([['w', { data: pack([4, 1], [4, 2]), of }]]));
}

const PAIR = [space([2]), floatType()] as const;

describe('reads', () => {
  test('datasets in nested groups, in the order of their names', () => {
    const layer = new Map([['kernel:0', dataset([1, 2, 3, 4, 5, 6], [2, 3])]]);
    const root = new Map<string, H5Object>([
      ['b', dataset([7])],
      ['a', new Map([['layer_._0', layer]])],
      ['empty', new Map()],
    ]);
    const found = [...read(h5File(root))].map(([name, tensor]) => [name, tensor.shape, ...readF32(tensor)]);
    expect(found).toEqual([
      ['a/layer_._0/kernel:0', [2, 3], 1, 2, 3, 4, 5, 6],
      ['b', [1], 7],
    ]);
  });

  test.each<[what: string, type: Message, count: number, dtype: string]>([
    ['64-bit floats', floatType({ size: 8, exponent: 11, fraction: 52 }), 1, 'f64'],
    ['16-bit floats', floatType({ size: 2, exponent: 5, fraction: 10 }), 4, 'f16'],
    ['bfloat16', floatType({ size: 2, exponent: 8, fraction: 7 }), 4, 'bf16'],
    ['64-bit integers', integerType(8, true), 1, 'i64'],
    ['bytes', integerType(1, false), 8, 'u8'],
  ])('%s', (_, type, count, dtype) => {
    const tensor = read(withMessages((at) => [space([count]), type, contiguous(at, 8)])).get('w');
    expect([tensor?.dtype, tensor?.bytes()]).toEqual([dtype, Uint8Array.from(pack([4, 1], [4, 2]))]);
  });

  test('scalars, compact data and headers that go on elsewhere', () => {
    const compact: Message = [8, pack([1, 3], [1, 0], [2, 4], [4, 0x3f800000])];
    const scalar = read(withMessages(() => [space([]), floatType(), compact])).get('w') as Tensor;
    expect([scalar.shape, ...readF32(scalar)]).toEqual([[], 1]);
    // The dataset's data begin with a message that belongs to its header: the layout, which points at what follows it.
    const layout = contiguous(96 + 32, 8)[1];
    const data = pack([2, 8], [2, layout.length], [4, 0], layout, [4, 1], [4, 2]);
    const of = (at: number): Message[] => [...PAIR, [0x10, pack([8, at], [8, 32])]];
    const continued = read(h5File(new Map([['w', { data, of, elsewhere: 1 }]]))).get('w') as Tensor;
    expect([continued.shape, [...continued.bytes()]]).toEqual([[2], [1, 0, 0, 0, 2, 0, 0, 0]]);
  });

  test('nothing of objects without data', () => {
    expect([...read(h5File(new Map([['type', [floatType()]]])))]).toEqual([]);
  });
});

describe('refuses', () => {
  const good = h5File(new Map([['group', new Map([['w', dataset([1, 2])]])]]));

  /** The file with bytes after the first occurrence of a mark changed. */
  function changed(mark: string | Uint8Array, offset: number, bytes: Uint8Array): Uint8Array {
    const file = Buffer.from(good);
    file.set(bytes, file.indexOf(mark) + offset);
    return file;
  }

  const address = (mark: string) => pack([8, Buffer.from(good).indexOf(mark)]);

  test.each<[what: string, bytes: Uint8Array, problem: string]>([
    ['an empty file', new Uint8Array(0), 'm.h5: does not begin as an HDF5 file does'],
    ['a file that is cut off', good.subarray(0, -1), `m.h5: has ${good.length - 1} bytes, should have ${good.length}`],
    ['the format of 2010', changed('HDF', 7, pack([1, 2])), 'm.h5: superblock of version 2 is not supported'],
    ['offsets of four bytes', changed('HDF', 12, pack([1, 4])), 'superblock: offsets and lengths of 4 and 8 bytes'],
    ['a user block', changed('HDF', 23, pack([1, 1])), 'm.h5: begins with a user block'],
    ['a root elsewhere', changed('HDF', 63, pack([8, 2 ** 40])), 'm.h5: root group: lies at 1099511627776'],
    ['a header of another version', changed('HDF', 63, address('TREE')), 'root group: object header of version 84'],
    ['a damaged tree', changed('TREE', 0, pack('TRIE')), 'group: has "TRIE" in place of TREE'],
    ['a tree of chunks', changed('TREE', 4, pack([1, 1])), 'group: has a tree of type 1'],
    ['a tree of many levels', changed('TREE', 5, pack([1, 200])), 'group: has a tree of 200 levels'],
    [
      'a tree that holds itself',
      changed('TREE', 5, pack([1, 1], [2, 1], [8, 0], [8, 0], [8, 0], address('TREE'))),
      'is used twice',
    ],
    ['a damaged node', changed('SNOD', 0, pack('SNOT')), 'group: has "SNOT" in place of SNOD'],
    ['a node with too many symbols', changed('SNOD', 6, pack([2, 0xffff])), 'group: lies at'],
    ['a symbolic link', changed('SNOD', 24, pack([4, 2])), 'm.h5: group/w: is a symbolic link'],
    ['a damaged heap', changed('HEAP', 0, pack('HELP')), 'group: has "HELP" in place of HEAP'],
    ['a heap of terabytes', changed('HEAP', 8, pack([8, 2 ** 42])), 'group: lies at'],
    ['a name outside its heap', changed('SNOD', 8, pack([8, 999])), 'offset 999 is outside its 16 bytes'],
  ])('%s', (_, bytes, problem) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ message: expect.stringContaining(problem) }));
  });

  const data: (at: number) => Message = (at) => contiguous(at, 8);
  test.each<[what: string, of: (at: number) => readonly Message[], problem: string]>([
    ['chunks', () => [...PAIR, [8, pack([1, 3], [1, 2], [1, 2])]], 'w: its data is chunked'],
    ['data from other datasets', () => [...PAIR, [8, pack([1, 4], [1, 3])]], 'w: its data is virtual'],
    ['data in other files', (at) => [...PAIR, [7, new Uint8Array(8)], data(at)], 'w: keeps its data in another file'],
    ['filters', (at) => [...PAIR, [0xb, new Uint8Array(8)], data(at)], 'w: is compressed'],
    ['a shared type', (at) => [space([2]), [3, floatType()[1], 2], data(at)], 'w: shares its type'],
    ['data without a type', (at) => [space([2]), data(at)], 'w: has data without a type or shape'],
    ['big-endian numbers', (at) => [space([2]), floatType({ flags: 0x21 }), data(at)], 'type 32-bit big-endian float'],
    ['strange floats', (at) => [space([2]), floatType({ exponent: 7, fraction: 24 }), data(at)], 'type 32-bit float'],
    ['text', (at) => [space([2]), [3, pack([1, 0x13], [3, 0], [4, 4])], data(at)], 'type 32-bit string'],
    [
      'less data than the shape takes',
      (at) => [space([3]), floatType(), data(at)],
      'w: has 8 bytes, but f32[3] takes 12',
    ],
    ['data outside the file', () => [...PAIR, contiguous(2 ** 40, 8)], "w: its data lies outside the file's"],
    ['data that was never written', () => [...PAIR, contiguous(UNDEFINED, 8)], "w: its data lies outside the file's"],
    ['too many elements to count', (at) => [space([2 ** 40, 2 ** 40]), floatType(), data(at)], 'overflows'],
    ['too many dimensions', (at) => [space(new Array(33).fill(1)), floatType(), data(at)], 'w: has 33 dimensions'],
  ])('%s', (_, of, problem) => {
    expect(() => read(withMessages(of))).toThrow(
      expect.objectContaining({ message: expect.stringContaining(problem) }),
    );
  });

  test('groups that nest without end', () => {
    let root: ReadonlyMap<string, H5Object> = new Map();
    for (let i = 0; i < 40; i++) root = new Map([['g', root]]);
    expect(() => read(h5File(root))).toThrow('is nested deeper than 32 groups');
  });
});
