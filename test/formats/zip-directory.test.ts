import { describe, expect, test } from 'vitest';
import { readArchive } from '../../src/formats/zip-directory.ts';
import { storedZip } from '../../src/formats/zip-stored.ts';
import { memoryFile, pack } from './memory-file.ts';

const A = { name: 'x/a', bytes: pack('first') };
const B = { name: 'x/b', bytes: pack('second one') };

function contents(zip: Uint8Array): [name: string, text: string][] {
  const file = memoryFile('m.zip', zip);
  return [...readArchive(file).values()].map((entry) => {
    const bytes = file.read(entry.dataStart(), entry.storedSize);
    return [entry.name, Buffer.from(bytes).toString()];
  });
}

const BOTH = [
  ['x/a', 'first'],
  ['x/b', 'second one'],
];

test('finds entries where they lie', () => {
  expect(contents(storedZip([A, B], 0))).toEqual(BOTH);
});

test('finds the directory before a comment', () => {
  const zip = storedZip([A, B], 0);
  const commented = pack(zip.subarray(0, -2), [2, 3], 'end');
  expect(contents(commented)).toEqual(BOTH);
});

/** An archive of one entry as zip64 has it: sizes and offsets in extra fields, the directory in a record of its own. */
function zip64(): Uint8Array {
  const { name, bytes } = A;
  const plain = storedZip([A], 0);
  const local = plain.subarray(0, 30 + name.length + bytes.length);
  const extra = pack([2, 9], [2, 0], [2, 1], [2, 24], [8, bytes.length], [8, bytes.length], [8, 0]);
  const fields: [number, number][] = [
    [4, 0x02014b50],
    [4, 45],
    [4, 0],
    [4, 0],
    [4, 0],
    [4, 0xffffffff],
    [4, 0xffffffff],
  ];
  const entry = pack(...fields, [2, name.length], [2, extra.length], [2, 0], [8, 0], [4, 0xffffffff], name, extra);
  const end64 = pack([4, 0x06064b50], [8, 44], [4, 45], [8, 0], [8, 1], [8, 1], [8, entry.length], [8, local.length]);
  const locator = pack([4, 0x07064b50], [4, 0], [8, local.length + entry.length], [4, 1]);
  return pack(
    local,
    entry,
    end64,
    locator,
    [4, 0x06054b50],
    [4, 0],
    [2, 0xffff],
    [2, 0xffff],
    [4, 0xffffffff],
    [4, 0xffffffff],
    [2, 0],
  );
}

test('reads the wide fields of archives beyond 4 GiB', () => {
  expect(contents(zip64())).toEqual([['x/a', 'first']]);
});

describe('refuses', () => {
  /** The archive with a field of its last directory entry, `offset` bytes into it, changed. */
  function changed(offset: number, width: 2 | 4, value: number): Uint8Array {
    const zip = Buffer.from(storedZip([A, B], 0));
    const entry = zip.lastIndexOf(pack([4, 0x02014b50]));
    zip.set(pack([width, value]), entry + offset);
    return zip;
  }

  test.each<[what: string, zip: Uint8Array, problem: string]>([
    [
      'a directory that is cut off',
      storedZip([A, B], 0).subarray(0, -1),
      'm.zip: is a zip archive without a directory',
    ],
    ['nothing', new Uint8Array(0), 'm.zip: is a zip archive without a directory'],
    ['an entry without its mark', changed(0, 4, 0), 'zip directory: has no entry at offset'],
    ['an entry twice', storedZip([A, A], 0), 'zip directory: names x/a twice'],
    ['an encrypted entry', changed(8, 2, 1), 'm.zip: x/b: is encrypted'],
    ['an unknown compression', changed(10, 2, 12), 'm.zip: x/b: is compressed by method 12'],
    ['a name beyond the directory', changed(28, 2, 0xffff), 'zip directory: needs 65535 bytes'],
    ['an entry whose header is elsewhere', changed(42, 4, 3), 'm.zip: x/b: zip header: has no signature'],
    ['an entry that runs into the directory', changed(20, 4, 1000), 'm.zip: x/b: zip header: its 1000 bytes'],
  ])('%s', (_, zip, problem) => {
    expect(() => contents(zip)).toThrow(expect.objectContaining({ message: expect.stringContaining(problem) }));
  });
});
