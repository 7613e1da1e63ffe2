import { expect, test } from 'vitest';
import { factorCholesky, invertCholesky, solveCholesky } from '../../src/solve/cholesky.ts';
import { fc } from '../fast-check.ts';

test('factors a matrix that was made by hand', () => {
  const matrix = Float64Array.of(4, 2, 6, 2, 10, 9, 6, 9, 19);
  expect(factorCholesky(matrix, 3)).toBe(3);
  expect([matrix[0], matrix[3], matrix[4], matrix[6], matrix[7], matrix[8]]).toEqual([2, 1, 3, 3, 2, Math.sqrt(6)]);
});

test('solves for several right-hand sides at once', () => {
  const matrix = Float64Array.of(4, 2, 2, 3);
  const sides = Float64Array.of(8, 7, 2, 1);
  factorCholesky(matrix, 2);
  solveCholesky(matrix, 2, sides);
  expect(Array.from(sides, (value) => Number(value.toFixed(12)))).toEqual([1.25, 1.5, 0.5, 0]);
});

test('gives 0 to an unknown whose row is zero or repeats another', () => {
  const zero = Float64Array.of(0, 0, 0, 4);
  const sides = Float64Array.of(0, 12);
  expect(factorCholesky(zero, 2)).toBe(1);
  solveCholesky(zero, 2, sides);
  expect(Array.from(sides)).toEqual([0, 3]);

  const repeated = Float64Array.of(1, 1, 1, 1);
  const same = Float64Array.of(5, 5);
  expect(factorCholesky(repeated, 2)).toBe(1);
  solveCholesky(repeated, 2, same);
  expect(Array.from(same)).toEqual([5, 0]);
});

test('the inverse has zeros where a row is zero or repeats another', () => {
  const matrix = Float64Array.of(4, 0, 4, 0, 0, 0, 4, 0, 4);
  expect(factorCholesky(matrix, 3)).toBe(1);
  expect(Array.from(invertCholesky(matrix, 3), Math.abs)).toEqual([0.25, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test('a matrix that is not positive gives 0 to what its negative directions would need, never NaN', () => {
  const indefinite = Float64Array.of(1, 2, 2, 1);
  const sides = Float64Array.of(3, 3);
  expect(factorCholesky(indefinite, 2)).toBe(1);
  solveCholesky(indefinite, 2, sides);
  expect(sides[0]).toBe(3);
  expect(sides[1]).toBeCloseTo(0, 12);
});

test.each([
  [1e-11, 2],
  [1e-13, 1],
])('a row that differs by %d of its size from another has rank %d: less than 10^-12 is rounding', (rest, rank) => {
  const nearly = Float64Array.of(4, 4, 4, 4 * (1 + rest));
  const sides = Float64Array.of(8, 8);
  expect(factorCholesky(nearly, 2)).toBe(rank);
  solveCholesky(nearly, 2, sides);
  expect((sides[0] as number) + (sides[1] as number)).toBeCloseTo(2, 6);
});

test('A x = b holds for every positive definite A, over block borders', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 1, max: 5 }), fc.integer(), (size, count, seed) => {
      const next = numbers(seed);
      const root = Float64Array.from({ length: size * size }, next);
      const matrix = new Float64Array(size * size);
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          let sum = i === j ? 1 : 0;
          for (let k = 0; k < size; k++) sum += (root[i * size + k] as number) * (root[j * size + k] as number);
          matrix[i * size + j] = sum;
        }
      }
      const wanted = Float64Array.from({ length: count * size }, next);
      const found = wanted.slice();
      const factor = matrix.slice();
      expect(factorCholesky(factor, size)).toBe(size);
      solveCholesky(factor, size, found);
      const inverse = invertCholesky(factor, size);
      const units = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
      solveCholesky(factor, size, units);
      expect(Math.max(...inverse.map((value, i) => Math.abs(value - (units[i] as number))))).toBeLessThan(1e-10);
      for (let side = 0; side < count; side++) {
        for (let i = 0; i < size; i++) {
          let sum = 0;
          for (let j = 0; j < size; j++) sum += (matrix[i * size + j] as number) * (found[side * size + j] as number);
          expect(sum).toBeCloseTo(wanted[side * size + i] as number, 8);
        }
      }
    }),
    { numRuns: 15, seed: 1 },
  );
});

function numbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}
