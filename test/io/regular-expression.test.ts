import { describe, expect, test } from 'vitest';
import { LinearExpression } from '../../src/io/regular-expression.ts';
import { fc } from '../fast-check.ts';

const NAMES = [
  '',
  'a',
  'b',
  'ab',
  'aab',
  'abc',
  'layer.0.dense',
  'layer.11.attention.query',
  'encoder/layer_3/key',
  'a\nb',
  'x{2}',
  'späť',
  'a😀b',
  '\\',
  'A-Z',
  '(a)',
];

describe('an expression matches what JavaScript says', () => {
  test.each([
    '',
    'a',
    '^a',
    'a$',
    '^$',
    'a|b',
    '^(?:ab|a)b$',
    'a*b',
    '(a+)+b',
    '(a|a)*b$',
    '^a?a?b',
    'a{2}b',
    '^a{1,}b{0,1}$',
    '^(ab){0,2}c?$',
    'layer\\.(0|1)\\.',
    'layer\\.1*[01]\\.',
    'encoder.*(query|key)',
    '(?<n>\\w+\\.)+query',
    '[^a-z.]',
    '[\\]\\\\]',
    '\\bkey\\b',
    '\\Bey',
    'a.b',
    '^.$',
    '\\(a\\)',
    'a+?b',
    'a||b',
    '(|a)b',
    '()*a',
    '(a*)*b',
    'x\\{2\\}',
    '\\x61',
    '\\u0061b',
    '\\d\\.\\D',
  ])('%s', (source) => {
    for (const flags of ['', 'u'] as const) {
      const [ours, theirs] = [new LinearExpression(source, flags), new RegExp(source, flags)];
      expect(NAMES.filter((name) => ours.test(name))).toEqual(NAMES.filter((name) => theirs.test(name)));
    }
  });

  test('also one that is made up', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w');
    const border = fc.constantFrom('\\b', '\\B', '^', '$');
    const mark = fc.constantFrom('', '*', '+', '?', '{2}', '{0,2}', '{1,}', '*?');
    const { sequence } = fc.letrec<{ sequence: string; part: string }>((tie) => ({
      sequence: fc.array(tie('part'), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('')),
      part: fc.oneof(
        { depthSize: 'small' },
        border,
        fc.tuple(atom, mark).map((parts) => parts.join('')),
        fc.tuple(tie('sequence'), tie('sequence'), mark).map(([x, y, many]) => `(${x}|${y})${many}`),
      ),
    }));
    fc.assert(
      fc.property(sequence, fc.stringMatching(/^[ab .]{0,6}$/), (source, name) => {
        expect(new LinearExpression(source).test(name)).toBe(new RegExp(source).test(name));
      }),
    );
  });
});

test.each([
  '(a+)+b',
  '(a|a)*b',
  'a*a*a*a*a*a*b',
  '(a*)*b',
  `${'a?'.repeat(30)}${'a'.repeat(30)}b`,
  '(a?){30}a{30}b',
  '(.*)*x',
])('a long name takes no time: %s', (source) => {
  expect(new LinearExpression(source).test('a'.repeat(2_000))).toBe(false);
});

test.each([
  ['(', /./],
  ['a(?=b)', /^lookaround/],
  ['(?<!a)b', /^lookaround/],
  ['(a)\\1', /^back-references/],
  ['(?<n>a)\\k<n>', /^back-references/],
  ['(a{100}){100}', /^it repeats too much/],
  ['(((a{1000}){1000}){1000}){1000}', /^it repeats too much/],
  ['(){99999999999}', /^it repeats too much/],
  ['((){9999}){9999}', /^it repeats too much/],
  ['a'.repeat(1_001), /^it is longer than 1000 characters/],
  [`${'('.repeat(101)}a${')'.repeat(101)}`, /^it is nested deeper/],
])('%s is refused', (source, problem) => {
  expect(() => new LinearExpression(source)).toThrow(
    expect.objectContaining({ name: 'SyntaxError', message: expect.stringMatching(problem) }),
  );
});
