import { expect, test } from 'vitest';
import { columnsOf, meanOf, plus, rowsBetween, sumsOf } from '../../src/solve/rows.ts';
import { random } from '../core.ts';
import { fc } from '../fast-check.ts';

function matrixOf(rows: number, columns: number, seed: number) {
  const next = random(seed);
  return { values: Float32Array.from({ length: rows * columns }, () => next() - 0.3), rows, columns };
}

test('means and sums are those of plain loops, for any number of rows', () => {
  const size = fc.integer({ min: 1, max: 13 });
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 5 }), fc.nat(), (rows, columns, seed) => {
      const [z, y] = [matrixOf(rows, columns, seed), matrixOf(rows, columns, seed + 1)];
      const [zm, ym] = [meanOf(z), meanOf(y)];
      const { zz, zy, yy } = sumsOf({ ...z, mean: zm }, { ...y, mean: ym });
      for (let c = 0; c < columns; c++) {
        const column = (matrix: typeof z) =>
          Array.from({ length: rows }, (_, row) => matrix.values[row * columns + c] as number);
        const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / rows;
        const [a, b] = [column(z), column(y)];
        expect(zm[c]).toBeCloseTo(mean(a), 5);
        const dot = (p: readonly number[], q: readonly number[]) =>
          p.reduce((sum, value, i) => sum + (value - mean(p)) * ((q[i] as number) - mean(q)), 0);
        expect([zz[c], zy[c], yy[c]]).toEqual([dot(a, a), dot(a, b), dot(b, b)].map((sum) => expect.closeTo(sum, 5)));
      }
    }),
    { numRuns: 100, seed: 1 },
  );
});

test('parts of rows are views with the mean of the whole', () => {
  const matrix = { ...matrixOf(4, 2, 1), mean: Float32Array.of(1, 2) };
  const part = rowsBetween(matrix, 1, 3);
  expect(part).toEqual({ values: matrix.values.subarray(2, 6), rows: 2, columns: 2, mean: matrix.mean });
  expect(part.values.buffer).toBe(matrix.values.buffer);
  expect('mean' in rowsBetween(matrixOf(4, 2, 1), 0, 1)).toBe(false);
});

test('plus leaves both sides as they are', () => {
  const [a, b] = [Float64Array.of(1, 2), Float64Array.of(3, 4)];
  expect([plus(a, b), a, b]).toEqual([Float64Array.of(4, 6), Float64Array.of(1, 2), Float64Array.of(3, 4)]);
});

test('columns are taken in the order in which they are listed', () => {
  const matrix = { values: Float32Array.of(1, 2, 3, 4, 5, 6), rows: 2, columns: 3 };
  expect(columnsOf(matrix, Int32Array.of(2, 0))).toEqual(Float32Array.of(3, 1, 6, 4));
});
