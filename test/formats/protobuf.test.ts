import { describe, expect, test } from 'vitest';
import { MbertError } from '../../src/errors.ts';
import { ProtoMessage } from '../../src/formats/protobuf.ts';
import { message, varint } from './protobuf-writer.ts';

const open = (...bytes: readonly number[]) => ProtoMessage.open(Uint8Array.from(bytes), 'a.pb');
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));

describe('reads', () => {
  // The examples of https://protobuf.dev/programming-guides/encoding/.
  test('150 as the guide writes it', () => {
    expect(open(0x08, 0x96, 0x01).int(1)).toBe(150);
  });

  test('"testing" as the guide writes it', () => {
    expect(ProtoMessage.open(hex('12 07 74 65 73 74 69 6e 67'), 'a.pb').text(2)).toBe('testing');
  });

  test('a message in a message', () => {
    expect(ProtoMessage.open(hex('1a 03 08 96 01'), 'a.pb').message(3, 'inner').int(1)).toBe(150);
  });

  test('packed integers as the guide writes them', () => {
    expect(ProtoMessage.open(hex('32 06 03 8e 02 9e a7 05'), 'a.pb').ints(6)).toEqual([3, 270, 86942]);
  });

  test.each([
    0,
    1,
    -1,
    127,
    128,
    2 ** 31,
    -(2 ** 31),
    2 ** 35 + 5,
    -(2 ** 35) - 5,
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ])('the integer %i', (value) => {
    expect(ProtoMessage.open(message([1, value]), 'a.pb').int(1)).toBe(value);
  });

  test('integers one by one and packed, in the order of the file', () => {
    expect(ProtoMessage.open(message([4, 7], [4, { packed: [-1, 300] }], [4, 8]), 'a.pb').ints(4)).toEqual([
      7, -1, 300, 8,
    ]);
  });

  test('floats', () => {
    const found = ProtoMessage.open(
      message([1, { f32: 0.5 }], [2, new Uint8Array(Float32Array.of(1, 2).buffer)], [3, { f64: 0.1 }]),
      'a.pb',
    );
    expect([found.float(1), [...found.floats(2)], [...found.doubles(3)]]).toEqual([0.5, [1, 2], [0.1]]);
  });

  test('a map, the last of equal keys, and a missing value as an empty message', () => {
    const entry = (key: string, value: number) => message([1, key], [2, message([3, value])]);
    const found = ProtoMessage.open(
      message([5, entry('a', 1)], [5, entry('a', 2)], [5, message([1, 'b'])]),
      'a.pb',
    ).entries(5, 'map');
    expect([...found].map(([key, value]) => [key, value.int(3)])).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
  });

  test('what is absent as its default', () => {
    const empty = open();
    expect([
      empty.has(1),
      empty.int(1),
      empty.float(1),
      empty.text(1),
      empty.bool(1),
      empty.ints(1),
      empty.messages(1, 'x'),
    ]).toEqual([false, 0, 0, '', false, [], []]);
  });
});

const bad: readonly { readonly what: string; readonly bytes: Uint8Array; readonly problem: string }[] = [
  { what: 'a field number of 0', bytes: hex('02 00'), problem: 'a.pb: is no protobuf: field 0 at byte 0' },
  {
    what: 'a group, which protobuf has dropped',
    bytes: hex('0b'),
    problem: 'a.pb: is no protobuf: wire type 3 at byte 1',
  },
  { what: 'an end inside a number', bytes: hex('08 96'), problem: 'ends inside a number at byte 1' },
  {
    what: 'a number of eleven bytes',
    bytes: hex('08 ff ff ff ff ff ff ff ff ff ff 01'),
    problem: 'is longer than 10 bytes',
  },
  { what: 'a length beyond the end', bytes: hex('12 07 74'), problem: 'needs 7 bytes at byte 2, 1 are left' },
  { what: 'a length of 2^64 - 1', bytes: hex('12 ff ff ff ff ff ff ff ff ff 01 00'), problem: 'needs -1 bytes' },
  { what: 'half a float', bytes: hex('0d 00 00'), problem: 'needs 4 bytes' },
];

test.each(bad)('refuses $what', ({ bytes, problem }) => {
  expect(() => ProtoMessage.open(bytes, 'a.pb')).toThrow(
    expect.objectContaining({ code: 'MALFORMED', message: expect.stringContaining(problem) }),
  );
});

test('refuses a field of another type when it is asked for', () => {
  expect(() => open(0x08, 0x01).text(1)).toThrow('a.pb: field 1 is of another type');
  expect(() => ProtoMessage.open(message([1, new Uint8Array(3)]), 'a.pb').floats(1)).toThrow(
    'a.pb: field 1 ends inside a number',
  );
});

test('refuses messages in messages without end', () => {
  let bytes = message([1, 1]);
  for (let depth = 0; depth < 200; depth++) bytes = message([2, bytes]);
  let inner = ProtoMessage.open(bytes, 'a.pb');
  expect(() => {
    for (;;) inner = inner.message(2, 'inner');
  }).toThrow('is nested deeper than 100 levels');
});

test('refuses more fields than a real file has', () => {
  const many = new Uint8Array(2 * 5_000_000);
  many.fill(0x08);
  for (let i = 1; i < many.length; i += 2) many[i] = 1;
  const whole = ProtoMessage.open(message([1, many]), 'a.pb');
  whole.message(1, 'part');
  expect(() => whole.message(1, 'part')).toThrow(MbertError);
  expect(varint(-1n).length).toBe(10);
});
