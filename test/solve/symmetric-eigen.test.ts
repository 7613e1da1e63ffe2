import { expect, test } from 'vitest';
import { symmetricEigen } from '../../src/solve/symmetric-eigen.ts';
import { random } from '../core.ts';
import { fc } from '../fast-check.ts';

test('finds what is known of a matrix of order 2', () => {
  const { values, vectors } = symmetricEigen(Float64Array.of(2, 1, 1, 2), 2);
  expect(Array.from(values, (value) => Number(value.toFixed(12)))).toEqual([3, 1]);
  expect(Array.from(vectors, (value) => Math.abs(value))).toEqual(Array(4).fill(expect.closeTo(Math.SQRT1_2, 12)));
});

test('finds the cosines of the second difference', () => {
  // The matrix with 2 on and -1 beside the diagonal has the eigenvalues 2 - 2 cos(kπ / (n + 1)).
  const size = 40;
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    matrix[i * size + i] = 2;
    if (i > 0) matrix[i * size + i - 1] = -1;
    if (i > 0) matrix[(i - 1) * size + i] = -1;
  }
  const { values } = symmetricEigen(matrix, size);
  values.forEach((value, i) => {
    expect(value).toBeCloseTo(2 - 2 * Math.cos(((size - i) * Math.PI) / (size + 1)), 12);
  });
});

test.each([
  ['zeros', 3, [0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0]],
  ['the identity', 3, [1, 0, 0, 0, 1, 0, 0, 0, 1], [1, 1, 1]],
  ['a diagonal that is not in order', 3, [1, 0, 0, 0, -5, 0, 0, 0, 4], [4, 1, -5]],
  ['a matrix of rank 1', 3, [1, 2, 3, 2, 4, 6, 3, 6, 9], [14, 0, 0]],
  ['huge and tiny blocks', 4, [2e150, 1e150, 0, 0, 1e150, 2e150, 0, 0, 0, 0, 2, 1, 0, 0, 1, 2], [3e150, 1e150, 3, 1]],
  ['one number', 1, [7], [7]],
])('takes %s', (_, size, matrix, wanted) => {
  const { values } = symmetricEigen(Float64Array.from(matrix), size);
  values.forEach((value, i) => {
    expect(value).toBeCloseTo(wanted[i] as number, (wanted[i] as number) > 1e9 ? -140 : 9);
  });
});

test('A = V diag(λ) Vᵀ with orthogonal V, whatever A is', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer(),
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: -8, max: 8 }),
      (size, seed, rank, exponent) => {
        // X Xᵀ of few columns has many eigenvalues that are zero; one far column makes scales differ.
        const next = random(seed);
        const x = Float64Array.from({ length: size * rank }, () => next() - 0.5);
        for (let i = 0; i < size; i++) x[i * rank] = (x[i * rank] as number) * 10 ** exponent;
        const matrix = new Float64Array(size * size);
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            for (let k = 0; k < rank; k++)
              matrix[i * size + j] =
                (matrix[i * size + j] as number) + (x[i * rank + k] as number) * (x[j * rank + k] as number);
          }
        }
        const { values, vectors } = symmetricEigen(matrix, size);
        const largest = Math.max(1, ...values);
        const row = (i: number) => vectors.subarray(i * size, (i + 1) * size);
        for (let i = 0; i < size; i++) {
          if (i > 0) expect(values[i]).toBeLessThanOrEqual(values[i - 1] as number);
          for (let j = 0; j < size; j++) {
            expect(row(i).reduce((sum, value, k) => sum + value * (row(j)[k] as number), 0)).toBeCloseTo(
              i === j ? 1 : 0,
              10,
            );
            let made = 0;
            for (let k = 0; k < size; k++)
              made += (values[k] as number) * (row(k)[i] as number) * (row(k)[j] as number);
            expect(Math.abs(made - (matrix[i * size + j] as number))).toBeLessThan(1e-12 * largest);
          }
        }
      },
    ),
    { numRuns: 40, seed: 1 },
  );
});

test('a matrix of low rank has its eigenvalues, and zeros of its rounding', () => {
  const [size, rank] = [120, 5];
  const next = random(3);
  const rows = Array.from({ length: rank }, (_, k) =>
    Float64Array.from({ length: size }, () => (next() - 0.5) * 2 ** -k),
  );
  const matrix = new Float64Array(size * size);
  for (const row of rows)
    for (let at = 0; at < matrix.length; at++) {
      const [i, j] = [Math.floor(at / size), at % size];
      matrix[at] = (matrix[at] as number) + (row[i] as number) * (row[j] as number);
    }
  const { values } = symmetricEigen(matrix, size);
  const trace = rows.reduce((sum, row) => sum + row.reduce((squares, value) => squares + value * value, 0), 0);
  expect(values.slice(0, rank).reduce((sum, value) => sum + value, 0)).toBeCloseTo(trace, 10);
  for (const value of values.slice(rank)) expect(Math.abs(value)).toBeLessThan(1e-13 * trace);
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses a matrix with %d', (odd) => {
  expect(() => symmetricEigen(Float64Array.of(1, odd, odd, 1), 2)).toThrow(
    expect.objectContaining({ code: 'INVALID_GRAPH' }),
  );
});
