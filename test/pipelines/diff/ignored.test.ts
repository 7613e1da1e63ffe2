import { expect, test } from 'vitest';
import { matchesAny } from '../../../src/pipelines/diff/ignored.ts';

test.each<[string, readonly string[], readonly string[]]>([
  ['layer', ['layer'], ['layers', 'a layer', '']],
  ['layer.*', ['layer.', 'layer.0.dense'], ['layer', 'xlayer.0']],
  ['*.bias', ['.bias', 'a.bias.bias'], ['bias', 'a.bias.']],
  ['a*b*c', ['abc', 'axxbyyc', 'abcbc'], ['acb', 'ab', 'bc']],
  ['ab*ba', ['abba', 'ab-ba'], ['aba']],
  ['*', ['', 'anything', 'a\nb'], []],
  ['a.c', ['a.c'], ['abc']],
  ['**x**', ['x', 'axb'], ['a']],
])('%s stands for %j and not for %j', (pattern, fitting, others) => {
  const fits = matchesAny([pattern]);
  expect([...fitting, ...others].filter(fits)).toEqual(fitting);
});

test('one pattern of several is enough', () => {
  expect(['a', 'b', 'c'].filter(matchesAny(['a', 'c*']))).toEqual(['a', 'c']);
});

test('a long name takes no time', () => {
  expect(matchesAny([`${'*a'.repeat(30)}*b`])('a'.repeat(100_000))).toBe(false);
});
