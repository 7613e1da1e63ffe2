import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { isSafetensors, readSafetensors } from '../../src/formats/safetensors.ts';
import type { ModelFile } from '../../src/io/files.ts';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { fc } from '../fast-check.ts';

/** A file in memory that counts what is read from it. */
function memoryFile(bytes: Uint8Array, size = bytes.byteLength): ModelFile & { readBytes: number } {
  return {
    path: 'm.safetensors',
    size,
    readBytes: 0,
    read(offset, length) {
      this.readBytes += length;
      if (offset < 0 || offset + length > bytes.byteLength) throw new RangeError('read outside the file');
      return bytes.slice(offset, offset + length);
    },
    sibling() {
      throw new Error('has no siblings');
    },
    close() {},
  };
}

/** A safetensors file of this header, as JSON text or value, and data. */
function fileBytes(header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.byteLength + data.byteLength);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.byteLength), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.byteLength);
  return bytes;
}

const GOOD = {
  __metadata__: { format: 'pt' },
  b: { dtype: 'F32', shape: [2, 2], data_offsets: [0, 16] },
  a: { dtype: 'F16', shape: [3], data_offsets: [16, 22] },
};

function read(header: unknown, dataBytes = 22): ReadonlyMap<string, Tensor> {
  return readSafetensors(memoryFile(fileBytes(header, new Uint8Array(dataBytes))));
}

describe('reads', () => {
  test('names, types and values, in the order of the file', () => {
    const data = new Uint8Array(22);
    const view = new DataView(data.buffer);
    [1, -2, 0.5, 3].forEach((value, i) => {
      view.setFloat32(i * 4, value, true);
    });
    [0x3c00, 0xc000, 0x3800].forEach((half, i) => {
      view.setUint16(16 + i * 2, half, true);
    });
    const tensors = readSafetensors(memoryFile(fileBytes(GOOD, data)));
    expect([...tensors].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['b', 'f32', [2, 2]],
      ['a', 'f16', [3]],
    ]);
    expect([...tensors.values()].map((tensor) => [...readF32(tensor)])).toEqual([
      [1, -2, 0.5, 3],
      [1, -2, 0.5],
    ]);
  });

  test.each([
    ['F64', 'f64', 8],
    ['F32', 'f32', 4],
    ['F16', 'f16', 2],
    ['BF16', 'bf16', 2],
    ['I64', 'i64', 8],
    ['U64', 'u64', 8],
    ['I32', 'i32', 4],
    ['U32', 'u32', 4],
    ['I16', 'i16', 2],
    ['U16', 'u16', 2],
    ['I8', 'i8', 1],
    ['U8', 'u8', 1],
    ['BOOL', 'bool', 1],
  ])('%s', (name, dtype, width) => {
    const tensors = read({ x: { dtype: name, shape: [3], data_offsets: [0, 3 * width] } }, 3 * width);
    expect(tensors.get('x')).toMatchObject({ dtype, shape: [3] });
    expect(tensors.get('x')?.bytes().byteLength).toBe(3 * width);
  });

  test('scalars, empty tensors and a header padded with spaces', () => {
    const header = {
      scalar: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
      empty: { dtype: 'F32', shape: [0, 5], data_offsets: [4, 4] },
    };
    const tensors = read(`${JSON.stringify(header)}   `, 4);
    expect(tensors.get('scalar')?.bytes().byteLength).toBe(4);
    expect(tensors.get('empty')?.bytes().byteLength).toBe(0);
    expect(read({}, 0).size).toBe(0);
  });

  test('no data before it is asked for', () => {
    const bytes = fileBytes(GOOD, new Uint8Array(22));
    const file = memoryFile(bytes);
    const tensors = readSafetensors(file);
    expect(file.readBytes).toBe(bytes.byteLength - 22);
    tensors.get('a')?.bytes();
    expect(file.readBytes).toBe(bytes.byteLength - 22 + 6);
  });
});

const entry = (changes: object) => ({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...changes } });

describe('refuses', () => {
  test.each<[what: string, header: unknown, dataBytes: number, problem: string]>([
    ['text', 'hello', 0, 'header: is not JSON: unexpected "h" (line 1, column 1)'],
    ['an array', [], 0, 'header: is not a JSON object'],
    ['null', null, 0, 'header: is not a JSON object'],
    ['an entry that is no object', { x: 1 }, 0, 'x: its header entry is not an object'],
    ['no dtype', entry({ dtype: undefined }), 8, 'x: dtype null is not a name'],
    ['an unknown dtype', entry({ dtype: 'F8_E4M3' }), 8, 'x: dtype "F8_E4M3" is not supported'],
    [
      'a dtype named like an object method',
      entry({ dtype: 'constructor' }),
      8,
      'x: dtype "constructor" is not supported',
    ],
    ['no shape', entry({ shape: 2 }), 8, 'x: has no shape'],
    ['a negative dimension', entry({ shape: [-2] }), 8, 'x: negative dimension -2'],
    ['two negative dimensions', entry({ shape: [-1, -2] }), 8, 'x: negative dimension -1'],
    ['half a dimension', entry({ shape: [1.5] }), 8, 'x: dimension 1.5 is not an integer'],
    ['a dimension in quotes', entry({ shape: ['2'] }), 8, 'x: dimension "2" is not an integer'],
    [
      '2^53 elements',
      entry({ shape: [2 ** 27, 2 ** 26] }),
      8,
      'x: element count of shape [134217728, 67108864] overflows',
    ],
    ['a dimension of 2^60', entry({ shape: [2 ** 60] }), 8, 'x: dimension 1152921504606847000 overflows'],
    [
      'an infinite dimension',
      '{"x":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}',
      8,
      'x: dimension Infinity is not an integer',
    ],
    ['one offset', entry({ data_offsets: [8] }), 8, 'x: has no pair of data_offsets'],
    ['a negative offset', entry({ data_offsets: [-8, 0] }), 8, 'x: negative data offset -8'],
    ['an end before the begin', entry({ data_offsets: [8, 0] }), 8, 'x: its data ends (0) before it begins (8)'],
    ['fewer bytes than the shape takes', entry({ data_offsets: [0, 4] }), 8, 'x: has 4 bytes, but f32[2] takes 8'],
    ['more bytes than the shape takes', entry({ shape: [1] }), 8, 'x: has 8 bytes, but f32[1] takes 4'],
    ['data past the end', entry({}), 7, 'x: past the end of the 7 data bytes'],
    ['a name of a million letters', { ['x'.repeat(1e6)]: 1 }, 0, 'header: tensor name of 1000000 letters is over 1000'],
    [
      'equal names',
      '{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
      1,
      'header: "x" occurs twice (line 1, column 54)',
    ],
  ])('%s', (_, header, dataBytes, problem) => {
    expect(() => read(header, dataBytes)).toThrow(
      expect.objectContaining({ name: 'MbertError', message: `m.safetensors: ${problem}` }),
    );
  });

  test.each<[what: string, changes: object, dataBytes: number, problem: string]>([
    ['overlapping tensors', { b: { dtype: 'F32', shape: [5], data_offsets: [0, 20] } }, 22, 'b and a overlap'],
    ['one tensor inside another', { c: { dtype: 'U8', shape: [1], data_offsets: [3, 4] } }, 22, 'b and c overlap'],
    [
      'a hole',
      { b: { dtype: 'F32', shape: [3], data_offsets: [4, 16] } },
      22,
      'b: the 4 bytes before it belong to no tensor',
    ],
    ['bytes after the last tensor', {}, 30, '8 bytes after the last tensor belong to no tensor'],
    ['cut data', {}, 15, 'b and a: past the end of the 15 data bytes'],
  ])('%s', (_, changes, dataBytes, problem) => {
    expect(() => read({ ...GOOD, ...changes }, dataBytes)).toThrow(`m.safetensors: ${problem}`);
  });

  test.each<[length: bigint, problem: string]>([
    [0n, 'header: is not JSON: it ends too early (line 1, column 1)'],
    [1n, 'header: is not JSON: it ends too early (line 1, column 2)'],
    [1000n, 'header of 1000 bytes exceeds the file, which has 165 bytes after the length'],
    [2n ** 63n, 'header of 9223372036854776000 bytes exceeds the file, which has 165 bytes after the length'],
    [2n ** 64n - 1n, 'header of 18446744073709552000 bytes exceeds the file, which has 165 bytes after the length'],
  ])('a header length of %s', (length, problem) => {
    const bytes = fileBytes(GOOD, new Uint8Array(22));
    new DataView(bytes.buffer).setBigUint64(0, length, true);
    expect(() => readSafetensors(memoryFile(bytes))).toThrow(`m.safetensors: ${problem}`);
  });

  test('a header of 20 MB before it is read', () => {
    const file = memoryFile(fileBytes('', new Uint8Array(8)), 100_000_000);
    const huge = { ...file, read: () => Uint8Array.of(0, 0x2d, 0x31, 1, 0, 0, 0, 0) };
    expect(() => readSafetensors(huge)).toThrow('m.safetensors: header of 20000000 bytes is over 16000000');
  });

  test('the file cut at each sixteenth', () => {
    const bytes = fileBytes(GOOD, new Uint8Array(22));
    for (let i = 0; i < 16; i++) {
      const cut = bytes.subarray(0, Math.floor((bytes.byteLength * i) / 16));
      expect(() => readSafetensors(memoryFile(cut)), `cut to ${cut.byteLength}`).toThrow(MbertError);
    }
  });
});

test('mutated headers are read or refused, never a crash', () => {
  const good = fileBytes(GOOD, new Uint8Array(22));
  const mutation = fc.record({ at: fc.nat(good.byteLength - 1), byte: fc.nat(255), cutTo: fc.nat(good.byteLength) });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
      let bytes = good.slice();
      for (const { at, byte, cutTo } of mutations) {
        if (at < bytes.byteLength) bytes[at] = byte;
        if (byte % 8 === 0) bytes = bytes.slice(0, cutTo);
      }
      try {
        for (const tensor of readSafetensors(memoryFile(bytes)).values()) tensor.bytes();
      } catch (error) {
        expect(error).toBeInstanceOf(MbertError);
      }
    }),
    { numRuns: 3000 },
  );
});

test('knows the format by its first bytes', () => {
  const good = fileBytes(GOOD, new Uint8Array(22));
  expect(isSafetensors(good.subarray(0, 64), good.byteLength)).toBe(true);
  expect(isSafetensors(good.subarray(0, 8), good.byteLength)).toBe(false);
  expect(isSafetensors(good, 100)).toBe(false);
  expect(isSafetensors(new TextEncoder().encode('{"weight_map": {}}'), 18)).toBe(false);
});
