import { expect, test } from 'vitest';
import { PagedBytes } from '../../src/io/paged-bytes.ts';
import { countedFile } from '../formats/memory-file.ts';

/** More pages than are kept, each byte telling its place. */
const bytes = new Uint8Array(70 * 65_536 + 13).map((_, i) => (i * 7) ^ (i >> 8));
const view = new DataView(bytes.buffer);

const PLACES = [0, 1, 65_532, 65_533, 65_535, 65_536, 40 * 65_536 - 3, 66 * 65_536 - 5, bytes.length - 8, 3];

test.each([
  ['of a file', PagedBytes.ofFile(countedFile('a', bytes).file)],
  ['in memory', PagedBytes.of(bytes)],
])('numbers %s are what a DataView reads, also across the border of two pages', (_, paged) => {
  for (const at of PLACES) {
    expect([paged.u8(at), paged.i8(at)]).toEqual([view.getUint8(at), view.getInt8(at)]);
    expect([paged.u16(at), paged.i16(at)]).toEqual([view.getUint16(at, true), view.getInt16(at, true)]);
    expect([paged.u32(at), paged.i32(at)]).toEqual([view.getUint32(at, true), view.getInt32(at, true)]);
    expect([paged.u64(at), paged.i64(at)]).toEqual(
      [view.getBigUint64(at, true), view.getBigInt64(at, true)].map(Number),
    );
    expect([paged.f32(at), paged.f64(at)]).toEqual([view.getFloat32(at, true), view.getFloat64(at, true)]);
  }
});

test.each([
  [0, 5],
  [65_530, 20],
  [65_530, 8],
  [100, 4096],
  [100, 4097],
  [bytes.length - 3, 3],
  [9, 0],
])('the range of a file at %i, %i long, is a copy', (at, length) => {
  const paged = PagedBytes.ofFile(countedFile('a', bytes).file);
  const range = paged.bytes(at, length);
  expect(range).toEqual(bytes.slice(at, at + length));
  range.fill(0);
  expect(paged.bytes(at, length)).toEqual(bytes.slice(at, at + length));
});

test('a page is read once, and what nobody asks for is not read', () => {
  const { file, bytesRead } = countedFile('a', bytes);
  const paged = PagedBytes.ofFile(file);
  for (let at = 0; at < 65_536; at += 100) paged.u32(at);
  paged.u8(65 * 65_536);
  for (let at = 0; at < 60_000; at += 100) paged.bytes(at, 10);
  expect(bytesRead()).toBeLessThanOrEqual(2 * (65_536 + 8));
});

test('only the beginning of a file counts where so it is said', () => {
  expect(PagedBytes.ofFile(countedFile('a', bytes).file, 10).size).toBe(10);
});
