import { readFileSync } from 'node:fs';
import { deflateSync, gzipSync, inflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openTfrecord, readExample, readRecords } from '../../src/formats/tfrecord.ts';
import { memoryFile } from './memory-file.ts';

const RAW = new Uint8Array(readFileSync('fixtures/samples/squad-3.tfrecord'));
const ZLIB = new Uint8Array(readFileSync('fixtures/samples/squad-3.tfrecord.zlib'));
const whole = (bytes: Uint8Array) => ({ bytes, partBytes: undefined });

describe('a file that is too large', () => {
  const open = (bytes: Uint8Array, headBytes: number) =>
    openTfrecord(memoryFile('f', bytes), { wholeBytes: RAW.length - 1, headBytes });

  test('has the records that its beginning holds', () => {
    // A record has 16 bytes beside its data.
    const [first = 0, second = 0] = readRecords(whole(RAW), 'f').map(({ byteLength }) => byteLength + 16);
    for (const [headBytes, records] of [
      [first, 1],
      [first + 1, 1],
      [first + 15, 1],
      [first + second - 1, 1],
      [first + second, 2],
    ] as const) {
      const file = open(RAW, headBytes) ?? expect.fail('is no TFRecord file');
      expect([file.partBytes, readRecords(file, 'f').length]).toEqual([headBytes, records]);
    }
  });

  test('is refused where it is compressed', () => {
    const attempt = () => openTfrecord(memoryFile('f', gzipSync(RAW)), { wholeBytes: 10, headBytes: 10 });
    expect(attempt).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });
});

describe('openTfrecord', () => {
  test('takes files as they are, zlib and gzip', () => {
    expect(openTfrecord(memoryFile('f', RAW))?.bytes).toEqual(RAW);
    for (const packed of [ZLIB, gzipSync(RAW)]) {
      expect(Buffer.compare(openTfrecord(memoryFile('f', packed))?.bytes as Uint8Array, RAW)).toBe(0);
    }
  });

  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['text', Buffer.from('it is that rare combination of bad writing')],
    ['text that begins like zlib', Buffer.from('x^2 is a square')],
    ['compressed text', deflateSync('it is that rare combination of bad writing')],
  ])('leaves %s to other readers', (_, bytes) => {
    expect(openTfrecord(memoryFile('f', bytes))).toBeUndefined();
  });

  test('refuses gzip that is cut off', () => {
    expect(() => openTfrecord(memoryFile('f', gzipSync(RAW).subarray(0, 500)))).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: 'f: does not inflate' }),
    );
  });
});

test('readRecords and readExample give the features that TensorFlow wrote', () => {
  const examples = readRecords(whole(RAW), 'f').map((record, i) => readExample(record, `f: record ${i + 1}`));
  expect(examples.length).toBe(3);
  for (const features of examples) {
    const [ids, mask, segments] = ['input_ids', 'input_mask', 'segment_ids'].map(
      (name) => features.get(name) as readonly number[],
    ) as [readonly number[], readonly number[], readonly number[]];
    const valid = mask.lastIndexOf(1) + 1;
    expect([ids.length, mask.length, segments.length]).toEqual([384, 384, 384]);
    // [CLS] question [SEP] context [SEP], then padding.
    expect([ids[0], ids[segments.indexOf(1) - 1], ids[valid - 1], ids[valid]]).toEqual([101, 102, 102, 0]);
    expect(features.has('tokens')).toBe(false);
  }
  expect(examples[0]?.get('input_ids')?.slice(0, 12)).toEqual([
    101, 2029, 5088, 2136, 3421, 1996, 10511, 2012, 3565, 4605, 2753, 1029,
  ]);
});

describe('readRecords refuses', () => {
  const changed = (at: number, by: number) => {
    const bytes = RAW.slice();
    bytes[at] = (bytes[at] as number) ^ by;
    return bytes;
  };
  test.each<[string, Uint8Array, string]>([
    ['a length that is not its checksum', changed(0, 1), 'f: record 1: length does not match its checksum'],
    ['data that is not its checksum', changed(100, 1), 'f: record 1 does not match its checksum'],
    ['a record that is cut off', RAW.subarray(0, 2000), 'f: needs 2924 bytes at offset 12, 1988 are left'],
    ['a file that ends in a length', RAW.subarray(0, 2940 + 5), 'f: needs 8 bytes at offset 2940, 5 are left'],
  ])('%s', (_, bytes, message) => {
    expect(() => readRecords(whole(bytes), 'f')).toThrow(expect.objectContaining({ code: 'MALFORMED', message }));
  });

  test('every truncation of the file', () => {
    // No sixteenth of the file is the end of a record.
    for (let part = 1; part < 16; part++) {
      const cut = RAW.subarray(0, Math.floor((RAW.length * part) / 16));
      expect(() => readRecords(whole(cut), 'f')).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
    }
  });
});

test('the compressed fixture holds the same bytes', () => {
  expect(Buffer.compare(inflateSync(ZLIB), RAW)).toBe(0);
});
