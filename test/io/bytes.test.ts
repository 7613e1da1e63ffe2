import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { ByteReader, decodeText } from '../../src/io/bytes.ts';
import { fc } from '../fast-check.ts';

const readerOf = (...bytes: readonly number[]) => new ByteReader(Uint8Array.from(bytes), 'a.bin: header');

const bytesOf = (length: number, write: (view: DataView) => void) => {
  const bytes = new Uint8Array(length);
  write(new DataView(bytes.buffer));
  return new ByteReader(bytes, 'a.bin');
};

describe('reads', () => {
  test('little-endian integers one after the other', () => {
    const reader = readerOf(0xff, 1, 2, 1, 2, 3, 0x84, 1, 0, 0, 0x80);
    expect([reader.u8(), reader.u16(), reader.u32(), reader.i32()]).toEqual([255, 0x0201, 0x84030201, -(2 ** 31) + 1]);
    expect([reader.offset, reader.left]).toEqual([11, 0]);
  });

  test('64 bits, rounded beyond 2^53', () => {
    expect(bytesOf(8, (view) => view.setBigUint64(0, 2n ** 53n - 1n, true)).u64()).toBe(2 ** 53 - 1);
    expect(bytesOf(8, (view) => view.setBigUint64(0, 2n ** 64n - 1n, true)).u64()).toBe(2 ** 64);
    expect(bytesOf(8, (view) => view.setBigInt64(0, -5n, true)).i64()).toBe(-5);
  });

  test('big-endian doubles', () => {
    expect(bytesOf(8, (view) => view.setFloat64(0, 0.1, false)).f64be()).toBe(0.1);
  });

  test.each([
    [[0], 0],
    [[127], 127],
    [[0x80, 1], 128],
    [[0x96, 1], 150],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 2 ** 53 - 1],
    // Zeros in front of nothing are odd, but a number of ten bytes is one.
    [[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0], 1],
  ])('the varint %j as %d', (bytes, value) => {
    const reader = readerOf(...bytes);
    expect(reader.varint()).toBe(value);
    expect(reader.left).toBe(0);
  });

  test('text that is UTF-8 and nothing else', () => {
    expect(new ByteReader(Buffer.from('naïve'), 'a.txt').text(6)).toBe('naïve');
    expect(() => readerOf(0xff).text(1)).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: 'a.bin: header: is not UTF-8 text' }),
    );
    expect(() => decodeText(Uint8Array.of(0xc3), 'a.txt')).toThrow('a.txt: is not UTF-8 text');
  });

  test('bytes as a view of the file, not a copy', () => {
    const whole = Uint8Array.of(1, 2, 3, 4);
    const part = new ByteReader(whole.subarray(1), 'a.bin').bytes(2);
    expect([...part]).toEqual([2, 3]);
    whole[1] = 9;
    expect(part[0]).toBe(9);
  });

  test('again from any place up to the end', () => {
    const reader = readerOf(1, 2, 3);
    reader.seek(3);
    expect(reader.left).toBe(0);
    reader.seek(1);
    expect(reader.u8()).toBe(2);
  });
});

describe('refuses', () => {
  test.each<[what: string, read: (reader: ByteReader) => unknown, problem: string]>([
    ['a number beyond the end', (reader) => reader.u32(), 'needs 4 bytes at offset 0, 3 are left'],
    ['bytes beyond the end', (reader) => reader.bytes(4), 'needs 4 bytes at offset 0, 3 are left'],
    ['a negative length', (reader) => reader.bytes(-1), 'needs -1 bytes at offset 0, 3 are left'],
    ['half a byte', (reader) => reader.bytes(0.5), 'needs 0.5 bytes at offset 0, 3 are left'],
    ['a length that is no number', (reader) => reader.text(Number.NaN), 'needs NaN bytes at offset 0, 3 are left'],
    ['a length beyond 2^53', (reader) => reader.bytes(2 ** 64), 'needs 18446744073709552000 bytes at offset 0'],
    ['a place behind the end', (reader) => reader.seek(4), 'offset 4 is outside its 3 bytes'],
    ['a place before the start', (reader) => reader.seek(-1), 'offset -1 is outside its 3 bytes'],
    ['half a place', (reader) => reader.seek(1.5), 'offset 1.5 is outside its 3 bytes'],
  ])('%s, and stays where it is', (_, read, problem) => {
    const reader = readerOf(1, 2, 3);
    expect(() => read(reader)).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(`a.bin: header: ${problem}`) }),
    );
    expect(reader.offset).toBe(0);
  });

  test('a varint of more than ten bytes, or one that the file ends in', () => {
    expect(() => readerOf(...new Array<number>(11).fill(0x80)).varint()).toThrow('varint is longer than ten bytes');
    expect(() => readerOf(0x80).varint()).toThrow('needs 1 bytes at offset 1, 0 are left');
  });

  test('what its caller finds wrong, with a way out', () => {
    expect(() => readerOf().fail('is odd', 'fetch it again')).toThrow(
      expect.objectContaining({ code: 'MALFORMED', message: 'a.bin: header: is odd', hint: 'fetch it again' }),
    );
  });
});

test('never reads outside its bytes, whatever is asked of it', () => {
  const number = fc.oneof(fc.integer({ min: -4, max: 40 }), fc.double(), fc.constantFrom(2 ** 31, 2 ** 53, 2 ** 64));
  const call = fc.record({
    how: fc.constantFrom('u8', 'u16', 'u32', 'i32', 'u64', 'i64', 'f64be', 'varint', 'bytes', 'text', 'seek'),
    by: number,
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 32 }), fc.array(call, { maxLength: 12 }), (content, calls) => {
      // What lies around is 0xee: a view of a larger buffer must not show it.
      const buffer = new Uint8Array(content.length + 16).fill(0xee);
      buffer.set(content, 8);
      const reader = new ByteReader(buffer.subarray(8, 8 + content.length), 'x');
      for (const { how, by } of calls) {
        const before = reader.offset;
        try {
          if (how === 'bytes') expect([...reader.bytes(by)]).toEqual([...content.subarray(before, before + by)]);
          else if (how === 'text' || how === 'seek') reader[how](by);
          else reader[how]();
        } catch (cause) {
          expect(cause).toBeInstanceOf(MbertError);
        }
        expect(reader.offset + reader.left).toBe(content.length);
        expect(reader.left).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 1000, seed: 1 },
  );
});
