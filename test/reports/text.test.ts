import { expect, test } from 'vitest';
import { sqnrText } from '../../src/reports/numbers.ts';
import { plural, size, table } from '../../src/reports/text.ts';

test('a table has numbers to the right, words to the left, and no space at the end of a line', () => {
  const rows = [
    ['name', 'error', 'SQNR', ''],
    ['start', '0.5', '9.1 dB', 'chosen'],
    ['a longer name', '12', '40 dB', ''],
    ['none', '-', '', ''],
  ];
  expect(table(rows)).toMatchInlineSnapshot(`
    "name           error    SQNR
    start            0.5  9.1 dB  chosen
    a longer name     12   40 dB
    none               -"
  `);
});

test('a column with one word is one of words', () => {
  expect(table([['n'], ['5'], ['equal']])).toBe('n\n5\nequal');
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_949, '999.9 kB'],
  [1_000_000, '1.0 MB'],
  [2_049_999_999, '2050.0 MB'],
])('%d bytes are %s', (bytes, text) => {
  expect(size(bytes)).toBe(text);
});

test.each([
  [0, '0 nodes'],
  [1, '1 node'],
  [2, '2 nodes'],
])('%d: %s', (count, text) => {
  expect(plural(count, 'node')).toBe(text);
});

test.each<[number | null, string]>([
  [null, 'equal'],
  [Number.POSITIVE_INFINITY, 'equal'],
  [31.25, '31.3 dB'],
  [Number.NaN, '–'],
  [Number.NEGATIVE_INFINITY, '–'],
])('an SQNR of %d is %s: an answer that is no number equals none', (value, text) => {
  expect(sqnrText(value)).toBe(text);
});
