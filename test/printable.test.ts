import { describe, expect, test } from 'vitest';
import { printable, shown } from '../src/printable.ts';

describe('printable', () => {
  test.each([
    ['layer.0/dense', 'layer.0/dense'],
    ['größe 数 🙂', 'größe 数 🙂'],
    ['a\nb\r\tc', 'a\\nb\\r\\tc'],
    ['\u001b[31m\u0007', '\\u001b[31m\\u0007'],
    ['\u009b2J', '\\u009b2J'],
    ['a\u202eb\u2066c\u2028', 'a\\u202eb\\u2066c\\u2028'],
    ['::stop-commands::x', '\\x3a:stop-commands::x'],
    ['  ::error::x', '  \\x3a:error::x'],
    ['a::b', 'a::b'],
    ['x ##[error]y', 'x #\\u0023[error]y'],
  ])('makes %j what a terminal and a log may show', (text, expected) => {
    expect(printable(text)).toBe(expected);
  });

  test('cuts what is longer than 1,000 characters in its middle, as a message ends in what is wrong', () => {
    expect(printable('x'.repeat(1000))).toBe('x'.repeat(1000));
    expect(printable('x'.repeat(1001))).toBe(`${'x'.repeat(800)}… 1 more characters …${'x'.repeat(200)}`);
    expect(printable(`${'x'.repeat(70_000)}: is not there`)).toMatch(/x: is not there$/);
  });
});

test('shown makes every text in data printable and leaves the rest', () => {
  const map = new Map([['a', '\n']]);
  const data = { names: ['a\nb', 1, null], inner: { 'te\nxt': '\u001b' }, map };
  expect(shown(data)).toEqual({ names: ['a\\nb', 1, null], inner: { 'te\\nxt': '\\u001b' }, map });
});
