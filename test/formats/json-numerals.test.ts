import { expect, test } from 'vitest';
import { parseJson } from '../../src/formats/json.ts';
import { indentedJson, numerals } from '../../src/formats/json-numerals.ts';

/** A text with its values exchanged for others, written with the numbers of the text. */
function rewritten(text: string, values = text): string {
  return indentedJson(parseJson(values, 'x.json'), numerals(text, 'x.json'));
}

test('is what JSON.stringify writes, where nothing is a float', () => {
  const value = { a: [1, [], {}, [[-2]]], b: { c: null, d: 'é"\n', '': true }, e: 0 };
  expect(rewritten(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2));
});

test.each(['{"x":2.0}', '{ "x" :  2.0 }', '{"y": 1, "x": 1e5}', '{"x": {"x": 3.0, "y": [0.0, 1]}, "y": 3}'])(
  'numbers of %s stay as they are written, however they are spaced',
  (text) => {
    expect(rewritten(text).replaceAll(/\s/g, '')).toBe(text.replaceAll(' ', ''));
  },
);

test('a number keeps the digits of its own place alone', () => {
  expect(JSON.stringify(rewritten('{"a": {"x": 2.0}, "x": 2, "s": "\\"x\\": 4.0"}'))).toBe(
    JSON.stringify('{\n  "a": {\n    "x": 2.0\n  },\n  "x": 2,\n  "s": "\\"x\\": 4.0"\n}'),
  );
});

test('another number than the text has is written as it is', () => {
  expect(rewritten('{"x": 2.0, "y": [1.0]}', '{"x": 3, "y": [1, 2], "z": 2}').replaceAll(/\s/g, '')).toBe(
    '{"x":3,"y":[1.0,2],"z":2}',
  );
});
