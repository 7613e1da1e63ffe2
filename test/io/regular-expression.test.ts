import { describe, expect, test } from 'vitest';
import { repeatedGroup } from '../../src/io/regular-expression.ts';

describe('repeatedGroup', () => {
  test.each([
    ['(a+)+$', '(a+)+'],
    ['^(a|a)*b', '(a|a)*'],
    ['x(?:y(a|b)z){2,}', '(?:y(a|b)z){2,}'],
    ['((a*)b){17}', '((a*)b){17}'],
    ['(?<name>\\w+\\.)+', '(?<name>\\w+\\.)+'],
  ])('finds what takes forever in %s', (source, group) => {
    expect(repeatedGroup(source)).toBe(group);
  });

  test.each([
    'layer\\.(0|1)\\.',
    'encoder.*(query|key)',
    '(abc)+',
    '(a+){2}',
    '[(a+)+]',
    '\\(a+\\)+',
    '^layers?\\.\\d+\\.(?:ffn|output)$',
  ])('leaves %s alone', (source) => {
    expect(repeatedGroup(source)).toBeNull();
    expect(() => new RegExp(source, 'u')).not.toThrow();
  });
});
