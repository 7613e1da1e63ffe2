import { describe, expect, test } from 'vitest';
import {
  aroundAxis,
  axisOf,
  type Bindings,
  bindDim,
  broadcast,
  type Dim,
  isStatic,
  limitedDim,
  product,
  type Shape,
  sameShape,
  shapeText,
  sizeOf,
} from '../../src/ir/shape.ts';
import { fc } from '../fast-check.ts';

const symbol = fc.constantFrom('batch', 'sequence', 'n');
const size = fc.integer({ min: 0, max: 7 });
/** Sizes, symbols and products of them, as shapes hold them. */
const dim: fc.Arbitrary<Dim> = fc.oneof(
  size,
  symbol,
  fc.array(fc.oneof(fc.integer({ min: 1, max: 7 }), symbol), { minLength: 1, maxLength: 3 }).map(product),
);
const shape = fc.array(dim, { maxLength: 4 });
const bindings: fc.Arbitrary<Bindings> = fc.record({ batch: size, sequence: size, n: size });

const times = (dims: Shape, bound: Bindings) =>
  dims.reduce<number>((all, each) => all * (bindDim(each, bound) ?? NaN), 1);

describe('product', () => {
  test('is what its parts make in every run', () => {
    fc.assert(
      fc.property(shape, bindings, (dims, bound) => {
        expect(bindDim(product(dims), bound)).toBe(times(dims, bound));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test('is written in one way, whatever the order and the grouping', () => {
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        expect(product([...b, ...a])).toBe(product([...a, ...b]));
        expect(product([product(a), product(b)])).toBe(product([...a, ...b]));
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test.each([
    [[], 1],
    [[2, 3], 6],
    [['sequence', 'batch'], 'batch*sequence'],
    [['batch', 2, 'batch'], '2*batch*batch'],
    [['2*batch', 3], '6*batch'],
    [[1, 'batch'], 'batch'],
    [[0, 'batch'], 0],
  ] as const)('of %j is %s', (dims, expected) => {
    expect(product(dims)).toBe(expected);
  });
});

describe('broadcast', () => {
  test.each([
    [[2, 3], [3], [2, 3]],
    [
      [2, 1],
      [1, 3],
      [2, 3],
    ],
    [[], [4], [4]],
    [
      ['batch', 1, 4],
      ['sequence', 4],
      ['batch', 'sequence', 4],
    ],
    [
      ['batch', 4],
      ['batch', 4],
      ['batch', 4],
    ],
    [[0], [1], [0]],
    [[2], [3], null],
    [['batch'], ['sequence'], null],
    [['batch'], [2], null],
    [[0], [2], null],
  ] as const)('%j and %j: %j', (a, b, expected) => {
    expect(broadcast(a, b)).toEqual(expected);
    expect(broadcast(b, a)).toEqual(expected);
  });

  test('of a result with its parts is the result', () => {
    fc.assert(
      fc.property(shape, shape, (a, b) => {
        const both = broadcast(a, b);
        fc.pre(both !== null);
        expect(broadcast(both as Shape, a)).toEqual(both);
        expect(broadcast(both as Shape, b)).toEqual(both);
        expect((both as Shape).length).toBe(Math.max(a.length, b.length));
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('axes', () => {
  test.each([
    [0, 3, 0],
    [2, 3, 2],
    [-1, 3, 2],
    [-3, 3, 0],
    [3, 3, null],
    [-4, 3, null],
    [0, 0, null],
    [0.5, 3, null],
    [Number.NaN, 3, null],
  ])('axis %d of %d is %s', (axis, rank, expected) => {
    expect(axisOf(axis, rank)).toBe(expected);
  });

  test('leave no element out: before, along and behind', () => {
    const fixed = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fixed, fc.nat(), (sizes, at) => {
        const axis = at % sizes.length;
        const { outer, length, inner } = aroundAxis(sizes, axis);
        expect([outer * length * inner, length]).toEqual([sizeOf(sizes), sizes[axis]]);
        expect(inner).toBe(sizeOf(sizes.slice(axis + 1)));
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});

test.each([
  [7, 7],
  ['batch', 2],
  ['3*batch*sequence', 30],
  ['batch*other', null],
  ['?', null],
] as const)('%s is %s where batch is 2 and sequence 5', (of, expected) => {
  expect(bindDim(of, { batch: 2, sequence: 5 })).toBe(expected);
});

test.each([
  [[], 1],
  [[3], 3],
  [[2, 0, 5], 0],
])('a shape %j has %d elements', (sizes, count) => {
  expect(sizeOf(sizes)).toBe(count);
});

test('shapes are the same dimension by dimension', () => {
  expect([sameShape([2, 'n'], [2, 'n']), sameShape([2], [2, 1]), sameShape([2, 'n'], ['n', 2])]).toEqual([
    true,
    false,
    false,
  ]);
  expect([isStatic([2, 3]), isStatic([]), isStatic([2, 'n'])]).toEqual([true, true, false]);
  expect(shapeText(['batch', 128])).toBe('[batch, 128]');
});

test.each([
  [40, 32],
  [7, 7],
  ['sequence', 'sequence:32'],
  ['sequence:64', 'sequence:32'],
  ['sequence:8', 'sequence:8'],
  ['batch*sequence', null],
])('%s is limited to 32 as %s', (dim, limited) => {
  expect(limitedDim(dim, 32)).toBe(limited);
});

test.each([
  ['sequence:32', 5, 5],
  ['sequence:32', 100, 32],
  ['2*sequence:32', 100, 64],
])('%s of a sequence of %d is %d', (dim, sequence, size) => {
  expect(bindDim(dim, { sequence })).toBe(size);
});
