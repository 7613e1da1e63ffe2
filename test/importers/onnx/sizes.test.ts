import { describe, expect, test } from 'vitest';
import {
  addSizes,
  constantSize,
  dimOf,
  divideSizes,
  leastOf,
  mostOf,
  multiplySizes,
  numberOf,
  type Size,
  sizeOfDim,
  subtractSizes,
} from '../../../src/importers/onnx/sizes.ts';

const one = constantSize(1);
const batch = sizeOfDim('batch');
const sequence = sizeOfDim('sequence');
const product = (a: Size | null, b: Size) => (a && multiplySizes(a, b)) ?? expect.fail('too long');

describe('sizes', () => {
  test('are numbers, symbols and products of both', () => {
    expect(dimOf(product(product(sequence, batch), constantSize(4)))).toBe('4*batch*sequence');
    expect(dimOf(sizeOfDim('4*batch'))).toBe('4*batch');
    expect(numberOf(subtractSizes(addSizes(sequence, one), sequence))).toBe(1);
  });

  test('that are sums or negative are no dimension', () => {
    expect(dimOf(subtractSizes(sequence, one))).toBe(null);
    expect(dimOf(constantSize(-1))).toBe(null);
    expect(dimOf(constantSize(0))).toBe(0);
  });

  test('divide term by term', () => {
    const sum = addSizes(product(batch, sequence), product(batch, constantSize(3)));
    expect(divideSizes(sum, batch)).toEqual(addSizes(sequence, constantSize(3)));
    expect(divideSizes(product(sequence, constantSize(6)), constantSize(4))).toBe(null);
    expect(divideSizes(sequence, batch)).toBe(null);
    expect(divideSizes(constantSize(-7), constantSize(2))).toEqual(constantSize(-3));
    expect(divideSizes(one, constantSize(0))).toBe(null);
  });

  test('have bounds, as every symbol is at least 1', () => {
    const size = addSizes(product(sequence, constantSize(2)), constantSize(-1));
    expect([leastOf(size), mostOf(size)]).toEqual([1, Number.POSITIVE_INFINITY]);
    expect([leastOf(subtractSizes(one, sequence)), mostOf(subtractSizes(one, sequence))]).toEqual([
      Number.NEGATIVE_INFINITY,
      0,
    ]);
  });

  test('do not grow without end', () => {
    let size: Size | null = addSizes(batch, sequence);
    for (let i = 0; i < 30 && size; i++) size = multiplySizes(size, size);
    expect(size).toBe(null);
  });
});
