import { expect, test } from 'vitest';
import { cheapestRisingMap, greedyRisingMap } from '../../src/solve/monotone-map.ts';
import { fc } from '../fast-check.ts';

const rows = (...values: readonly number[][]) => values.map((row) => Float64Array.from(row));

test('a cheap early choice gives way where it costs the others more', () => {
  const costs = rows([9, 1, 0], [9, 9, 0]);
  expect(cheapestRisingMap(costs)).toEqual([1, 2]);
});

test('the first of equals is taken, and one column each where there are no more', () => {
  expect(cheapestRisingMap(rows([1, 1, 1]))).toEqual([0]);
  expect(cheapestRisingMap(rows([5, 0], [0, 5]))).toEqual([0, 1]);
});

/** The sums of costs of all rising maps. */
function sums(costs: readonly Float64Array[], row = 0, from = 0): number[] {
  if (row === costs.length) return [0];
  return Array.from(costs[row] as Float64Array, (cost, column) =>
    column < from ? [] : sums(costs, row + 1, column + 1).map((sum) => sum + cost),
  ).flat();
}

test('no rising map is cheaper', () => {
  const matrix = fc.integer({ min: 1, max: 4 }).chain((count) =>
    fc.integer({ min: count, max: 6 }).chain((columns) =>
      fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: columns, maxLength: columns }), {
        minLength: count,
        maxLength: count,
      }),
    ),
  );
  fc.assert(
    fc.property(matrix, (values) => {
      const costs = rows(...values);
      const map = cheapestRisingMap(costs);
      for (const [row, column] of map.entries()) if (row > 0) expect(column).toBeGreaterThan(map[row - 1] as number);
      expect(map.reduce((sum, column, row) => sum + (costs[row]?.[column] as number), 0)).toBe(
        Math.min(...sums(costs)),
      );
    }),
  );
});

test('greedy takes the best column that leaves one for each row to come', () => {
  expect(greedyRisingMap(rows([0, 1, 9], [0, 0, 5]))).toEqual([1, 2]);
  expect(greedyRisingMap(rows([3, 1, 0, 0], [9, 2, 3, 0]))).toEqual([0, 2]);
});
