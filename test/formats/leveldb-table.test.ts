import { describe, expect, test } from 'vitest';
import { endsTable, readTable } from '../../src/formats/leveldb-table.ts';
import { block, type Pair, sealed, table, varint } from './bundle-files.ts';
import { pack } from './memory-file.ts';

const PAIRS: readonly Pair[] = [
  ['', pack('header')],
  ['bert/a', pack('1')],
  ['bert/ab', pack('2')],
  ['bert/b', pack('')],
];

function read(bytes: Uint8Array): [key: string, value: string][] {
  return readTable(bytes, 'm.index').map(({ key, value }) => [
    Buffer.from(key).toString(),
    Buffer.from(value).toString(),
  ]);
}

const EXPECTED = [
  ['', 'header'],
  ['bert/a', '1'],
  ['bert/ab', '2'],
  ['bert/b', ''],
];

describe('reads', () => {
  test('whole keys', () => {
    expect(read(table([sealed(block(PAIRS, false))]))).toEqual(EXPECTED);
  });

  test('keys that share their prefixes', () => {
    expect(read(table([sealed(block(PAIRS, true))]))).toEqual(EXPECTED);
  });

  test('several blocks', () => {
    const blocks = [PAIRS.slice(0, 2), PAIRS.slice(2)].map((pairs) => sealed(block(pairs, true)));
    expect(read(table(blocks))).toEqual(EXPECTED);
  });

  test('a table without entries', () => {
    expect(read(table([]))).toEqual([]);
  });

  test('the mark at its end', () => {
    const bytes = table([]);
    expect([endsTable(bytes.subarray(-8)), endsTable(bytes.subarray(-9, -1)), endsTable(bytes.subarray(-7))]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('refuses', () => {
  const good = sealed(block(PAIRS, true));
  const flipped = Uint8Array.from(good);
  flipped[10] = (flipped[10] ?? 0) ^ 1;
  /** One entry with these lengths: shared, rest, value. */
  const entry = (shared: number, rest: number, value: number) =>
    sealed(
      pack(varint(0), varint(1), varint(0), 'a', varint(shared), varint(rest), varint(value), 'b', [4, 0], [4, 1]),
    );

  test.each<[what: string, bytes: Uint8Array, problem: string]>([
    ['a file that is too short', table([]).subarray(-47), '47 bytes are too short'],
    ['another end', pack(table([good]).subarray(0, -1), [1, 0]), 'does not end as a TensorFlow index does'],
    ['a flipped bit', table([flipped]), 'block at 0: its checksum does not match'],
    ['snappy', table([sealed(block(PAIRS, true), 1)]), 'block at 0: is compressed with snappy'],
    ['a compression of the future', table([sealed(block(PAIRS, true), 7)]), 'compressed with compression 7'],
    ['keys out of order', table([sealed(block([...PAIRS].reverse(), false))]), 'its keys are not in order'],
    ['a block twice', table([good, good]), 'its keys are not in order'],
    ['a prefix longer than the key before', table([entry(2, 1, 0)]), 'an entry shares 2 bytes with a key of 1'],
    ['a key beyond the block', table([entry(0, 99, 0)]), 'needs 99 bytes'],
    ['a value beyond the block', table([entry(0, 1, 2 ** 40)]), 'needs 1099511627776 bytes'],
    ['a block without restart points', table([sealed(pack([2, 0]))]), 'has no restart points'],
    ['more restart points than bytes', table([sealed(pack([4, 0], [4, 0xffffffff]))]), 'has 4294967295 restart points'],
  ])('%s', (_, bytes, problem) => {
    expect(() => read(bytes)).toThrow(expect.objectContaining({ message: expect.stringContaining(problem) }));
  });

  test('a block outside the file', () => {
    const bytes = Buffer.from(table([good]));
    // The index' own handle in the footer, whose first two numbers are the metaindex'.
    bytes.set(Buffer.alloc(40, 0xff), bytes.length - 48);
    expect(() => read(bytes)).toThrow('footer: varint is longer than ten bytes');
  });

  test('keys that grow without end', () => {
    // Each key is the one before and another letter: 4 bytes an entry for keys of megabytes in all.
    const long = pack(varint(0), varint(2 ** 16), varint(0), 'a'.repeat(2 ** 16));
    const grown = Array.from({ length: 1100 }, (_, i) => pack(varint(2 ** 16 + i), varint(1), varint(0), 'b'));
    expect(() => read(table([sealed(pack(long, ...grown, [4, 0], [4, 1]))]))).toThrow(
      'has keys of more than 67108864 bytes',
    );
  });
});
