import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readNpy } from '../../src/formats/npy.ts';
import { type DType, integerTensor, readF32, readIntegers, type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { npyFile } from './npy-file.ts';

const fixture = (path: string) => readFileSync(new URL(`../../fixtures/${path}`, import.meta.url));

/** A version 1 file from a header as Python spells it, and its data. */
function file(header: string, data: Uint8Array = new Uint8Array(0), version = [1, 0]): Uint8Array {
  const text = Buffer.from(header);
  const length = version[0] === 1 ? [text.length & 255, text.length >> 8] : [text.length & 255, text.length >> 8, 0, 0];
  return Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.from([...version, ...length]), text, data]);
}

describe('readNpy', () => {
  test('reads the files that numpy wrote', () => {
    const ids = readNpy(fixture('mini-tflite-qa/inputs/input_ids.npy'), 'input_ids.npy');
    expect(ids).toMatchObject({ dtype: 'i32', shape: [4, 16] });
    expect(readIntegers(ids).slice(0, 3)).toEqual([2, 65, 86]);

    const wide = readNpy(fixture('mini-onnx-qa/inputs/input_ids.npy'), 'input_ids.npy');
    expect(wide).toMatchObject({ dtype: 'i64', shape: [4, 32] });
    expect(readIntegers(wide)[0]).toBe(2);

    const logits = readNpy(fixture('mini-onnx-qa/expected/start_logits.npy'), 'start_logits.npy');
    expect(logits).toMatchObject({ dtype: 'f32', shape: [4, 32] });
    // The manifest of the fixture says so.
    expect(Math.max(...readF32(logits).map(Math.abs))).toBe(2.1834592819213867);
  });

  test.each([
    ['keys in any order', "{'shape': (2, 1), 'fortran_order': False, 'descr': '<f4'}", [2, 1]],
    ['no last comma', "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}", [2, 1]],
    ['one dimension', "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }   \n", [2]],
    [
      'Fortran order of one dimension, which is C order',
      "{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }",
      [2],
    ],
  ])('accepts %s', (_, header, shape) => {
    const tensor = readNpy(file(header, new Uint8Array(Float32Array.of(1.5, -2).buffer)), 'a.npy');
    expect(tensor.shape).toEqual(shape);
    expect([...readF32(tensor)]).toEqual([1.5, -2]);
  });

  test.each([2, 3])('reads format version %i, whose header length has four bytes', (version) => {
    const header = "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }";
    const tensor = readNpy(file(header, Uint8Array.of(1, 0), [version, 0]), 'a.npy');
    expect(tensor.dtype).toBe('bool');
    expect([...tensor.bytes()]).toEqual([1, 0]);
  });

  test('reads a scalar and an empty array', () => {
    const scalar = "{'descr': '<i8', 'fortran_order': False, 'shape': (), }";
    expect(readIntegers(readNpy(file(scalar, Uint8Array.of(7, 0, 0, 0, 0, 0, 0, 0)), 'a.npy'))).toEqual([7]);
    const empty = "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3), }";
    expect(readNpy(file(empty), 'a.npy')).toMatchObject({ dtype: 'f64', shape: [0, 3] });
  });

  const dict = (descr: string, shape: string) => `{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }`;
  const four = new Uint8Array(4);
  test.each<[string, Uint8Array, string, string]>([
    ['nothing', new Uint8Array(0), 'MALFORMED', 'a.npy: is not a .npy file'],
    ['a zip', Buffer.from('PK\x03\x04 and more'), 'MALFORMED', 'a.npy: is not a .npy file'],
    ['version 4', file(dict("'<f4'", '(1,)'), four, [4, 0]), 'MALFORMED', 'a.npy: .npy version 4.0 is unknown'],
    [
      'a header past the end',
      file(dict("'<f4'", '(1,)')).subarray(0, 30),
      'MALFORMED',
      'a.npy: needs 57 bytes at offset 10, 20 are left',
    ],
    ['a huge header', file(' '.repeat(10_001), four), 'MALFORMED', 'a.npy: header of 10001 bytes is over 10000'],
    ['missing data', file(dict("'<f4'", '(2,)'), four), 'MALFORMED', 'a.npy: f32[2] takes 8 bytes, 4 are there'],
    ['trailing data', file(dict("'<f4'", '(0,)'), four), 'MALFORMED', 'a.npy: f32[0] takes 0 bytes, 4 are there'],
    [
      'a negative dimension',
      file(dict("'<f4'", '(-1,)'), four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    [
      'a size beyond 2^53',
      file(dict("'<f4'", '(99999999, 999999999)'), four),
      'MALFORMED',
      'a.npy: header: shape (99999999, 999999999) is out of range',
    ],
    [
      'a hole in the tuple',
      file(dict("'<f4'", '(1,,1)'), four),
      'MALFORMED',
      'a.npy: header: shape (1,,1) is out of range',
    ],
    [
      'code in the header',
      file("__import__('os').system('true')", four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    [
      'text after the dict',
      file(`${dict("'<f4'", '(1,)')} + x`, four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    [
      'a key too many',
      file("{'a': True, 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    [
      'text inside the dict',
      file(dict("'<f4'", '(1,), x'), four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    [
      'a key twice',
      file("{'descr': '<f4', 'descr': '<f8', 'shape': (1,), }", four),
      'MALFORMED',
      'a.npy: header: "descr" occurs twice',
    ],
    [
      'a missing key',
      file("{'descr': '<f4', 'shape': (1,), }", four),
      'MALFORMED',
      'a.npy: header: is not a dict of descr, fortran_order and shape',
    ],
    ['big endian', file(dict("'>f4'", '(1,)'), four), 'UNSUPPORTED', 'a.npy: arrays of type ">f4"'],
    ['Python objects', file(dict("'|O'", '(1,)'), four), 'UNSUPPORTED', 'a.npy: arrays of type "|O"'],
    [
      'a structured array',
      file(dict("[('a', '<f4')]", '(1,)'), four),
      'UNSUPPORTED',
      'a.npy: header: structured arrays',
    ],
    [
      'Fortran order',
      file("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }", four),
      'UNSUPPORTED',
      'a.npy: Fortran order',
    ],
  ])('refuses %s', (_, bytes, code, message) => {
    expect(() => readNpy(bytes, 'a.npy')).toThrow(expect.objectContaining({ code, message }));
  });

  test('refuses a file cut at each sixteenth', () => {
    const good = fixture('mini-tflite-qa/expected/end_logits.npy');
    for (let part = 0; part < 16; part++) {
      const cut = good.subarray(0, Math.floor((good.length * part) / 16));
      expect(() => readNpy(cut, 'a.npy')).toThrow(expect.objectContaining({ code: 'MALFORMED' }));
    }
  });
});

describe('a file of the other tests', () => {
  test('has the bytes that numpy writes', () => {
    const bytes = fixture('mini-onnx-qa/expected/start_logits.npy');
    expect(Buffer.compare(npyFile(readNpy(bytes, 'a.npy')), bytes)).toBe(0);
  });

  test.each<[DType, Tensor]>([
    ['f64', tensorOf('f64', [2], Float64Array.of(1, 2))],
    ['f16', tensorOf('f16', [1, 2], Uint16Array.of(0x3c00, 0xc000))],
    ['i64', integerTensor('i64', [-1, 2 ** 40])],
    ['i8', tensorOf('i8', [3], Int8Array.of(-128, 0, 127))],
    ['bool', tensorOf('bool', [2], Uint8Array.of(1, 0))],
    ['f32', tensorOf('f32', [], Float32Array.of(3))],
  ])('is read back as %s', (dtype, tensor) => {
    const back = readNpy(npyFile(tensor), 'a.npy');
    expect(back).toMatchObject({ dtype, shape: tensor.shape });
    expect([...back.bytes()]).toEqual([...tensor.bytes()]);
  });
});
