import { expect, test } from 'vitest';
import { nextShare } from '../../../src/pipelines/fit/prune-budget.ts';

/** The shares that are tried for a model that loses so many points at a share, and cannot become smaller than `least`. */
function triedFor(dropAt: (share: number) => number, least = 0): number[] {
  const maxDrop = 1;
  const attempts: { share: number; drop: number }[] = [];
  for (let share = nextShare([], maxDrop, least); share !== null; share = nextShare(attempts, maxDrop, least))
    attempts.push({ share, drop: dropAt(share) });
  return attempts.map(({ share }) => share);
}

test('halves the gap between what held and what failed', () => {
  expect(triedFor((share) => (share < 0.52 ? 3 : 0.5))).toEqual([0.6, 0.35, 0.48, 0.54, 0.51]);
});

test('goes up where the first fails, and ends where the gap is small', () => {
  expect(triedFor((share) => (share < 0.97 ? 3 : 0.5))).toEqual([0.6, 0.8, 0.9, 0.95, 0.98]);
  expect(triedFor(() => 0)).toEqual([0.6, 0.35, 0.22, 0.16, 0.13]);
});

test('a loss that is no number is a failure', () => {
  expect(triedFor(() => Number.NaN)[1]).toBe(0.8);
});

test('tries no share below the least that is possible', () => {
  expect(triedFor(() => 0, 0.325)).toEqual([0.6, 0.46, 0.39, 0.36]);
  expect(triedFor((share) => (share < 0.4 ? 3 : 0.5), 0.325)).toEqual([0.6, 0.46, 0.39, 0.43]);
  expect(triedFor(() => 0, 0.76)).toEqual([0.88, 0.82, 0.79]);
  expect(triedFor(() => 0, 0.985)).toEqual([0.99]);
});
