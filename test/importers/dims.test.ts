import { describe, expect, test } from 'vitest';
import { divideDims, reshapeTarget } from '../../src/importers/dims.ts';
import { type Dim, product } from '../../src/ir/shape.ts';
import { fc } from '../fast-check.ts';

const symbol = fc.constantFrom('a', 'b', 'c');
const dims = fc.array(fc.oneof(fc.integer({ min: 1, max: 6 }), symbol), { maxLength: 4 });

describe('divideDims', () => {
  test('undoes a product', () => {
    fc.assert(
      fc.property(dims, dims, (x, y) => {
        expect(divideDims(product([...x, ...y]), product(y))).toBe(product(x));
      }),
      { numRuns: 300, seed: 1 },
    );
  });

  test.each([
    [7, 2],
    ['a', 2],
    ['a', 'b'],
    [6, 'a'],
    [6, 0],
    ['a', 'a*a'],
  ] as const)('%s / %s is no size for every run', (a, b) => {
    expect(divideDims(a, b)).toBeNull();
  });
});

describe('the target of a reshape', () => {
  test.each([
    [[2, 3], [-1], [6]],
    [
      ['b', 's', 4],
      [-1, 4],
      ['b*s', 4],
    ],
    [
      ['b', 's', 4],
      ['b', 's', 2, -1],
      ['b', 's', 2, 2],
    ],
    [
      [0, 4],
      [-1, 4],
      [0, 4],
    ],
    [
      ['b*s', 4],
      ['b', -1, 4],
      ['b', 's', 4],
    ],
  ] as const)('of %j by %j is %j', (from, target, expected) => {
    expect(reshapeTarget(from as readonly Dim[], target as readonly Dim[])).toEqual(expected);
  });

  test.each([
    [
      ['b', 's'],
      [-1, 3],
    ],
    [['b'], ['s']],
    [
      ['b', 4],
      [-1, -1],
    ],
  ] as const)('of %j by %j stays open', (from, target) => {
    expect(reshapeTarget(from, target)).toBeNull();
  });

  test.each([
    [
      [2, 3],
      [4, -1],
    ],
    [[2, 3], [7]],
    [
      [2, 3],
      [-2, -3],
    ],
  ])('of %j cannot be %j', (from, target) => {
    expect(() => reshapeTarget(from, target)).toThrow(expect.objectContaining({ code: 'INVALID_GRAPH' }));
  });
});
