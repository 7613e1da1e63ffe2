import onnxProto from 'onnx-proto';
import { expect, test } from 'vitest';
import { MessageWriter } from '../../src/formats/protobuf-writer.ts';

const { AttributeProto } = onnxProto.onnx;

test.each([
  0,
  1,
  127,
  128,
  300,
  2 ** 31,
  2 ** 32 + 1,
  Number.MAX_SAFE_INTEGER,
  2 ** 62,
  -1,
  -128,
  -(2 ** 53),
  -(2 ** 63),
])('writes %d as protobuf.js does', (value) => {
  const expected = AttributeProto.encode({ name: 'größe', f: -1.5, i: value, ints: [1, value] }).finish();
  const written = new MessageWriter().text(1, 'größe').float(2, -1.5).int(3, value).ints(8, [1, value]).finish();
  expect(Buffer.from(written).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
});

test('writes what is empty, but no list without numbers', () => {
  const expected = AttributeProto.encode({ name: '', s: new Uint8Array(0), ints: [], strings: [] }).finish();
  const written = new MessageWriter().text(1, '').bytes(4, new Uint8Array(0)).ints(8, []).texts(9, []).finish();
  expect([...written]).toEqual([...expected]);
});

test('a message may be longer than its first bytes', () => {
  const text = 'x'.repeat(100_000);
  const inner = new MessageWriter().text(1, text);
  const outer = AttributeProto.decode(new MessageWriter().message(5, inner).texts(9, [text, text]).finish());
  expect(outer.strings?.map((each) => each.length)).toEqual([100_000, 100_000]);
});

test.each([2 ** 63, 1e30])('%d, which 64 bits do not hold, becomes the largest number', (value) => {
  expect(Buffer.from(new MessageWriter().int(3, value).finish()).toString('hex')).toBe('18ffffffffffffffff7f');
});
