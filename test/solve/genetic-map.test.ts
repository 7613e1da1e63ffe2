import { expect, test } from 'vitest';
import { geneticMap } from '../../src/solve/genetic-map.ts';
import { random } from '../core.ts';

const problem = (rows: number, columns: number, score: (map: readonly number[]) => number, more = {}) => ({
  rows,
  columns,
  firsts: [Array.from({ length: rows }, (_, row) => row)],
  seed: 1,
  population: 12,
  generations: 12,
  score: async (maps: readonly (readonly number[])[]) => maps.map(score),
  ...more,
});

test('finds a map of 495 whose score has no slope towards it but through its parts', async () => {
  const wanted = [1, 4, 6, 11];
  const missed = (map: readonly number[]) => map.filter((column) => !wanted.includes(column)).length;
  const { map, score, scored } = await geneticMap(problem(4, 12, missed));
  expect({ map, score }).toEqual({ map: wanted, score: 0 });
  expect(scored).toBeLessThan(250);
});

test('scores each map once, all of them rising, the same ones for the same seed', async () => {
  const runOf = async (seed: number) => {
    const next = random(9);
    const seen: string[] = [];
    const found = await geneticMap(
      problem(3, 8, () => 0, {
        seed,
        score: async (maps: readonly (readonly number[])[]) => {
          for (const map of maps) seen.push(map.join());
          return maps.map(() => next());
        },
      }),
    );
    return { seen, found };
  };
  const { seen, found } = await runOf(3);
  expect(new Set(seen).size).toBe(seen.length);
  expect(found.scored).toBe(seen.length);
  for (const map of seen) {
    const columns = map.split(',').map(Number);
    expect(columns).toEqual([...new Set(columns)].sort((a, b) => a - b));
  }
  expect(await runOf(3)).toEqual({ seen, found });
  expect((await runOf(4)).seen).not.toEqual(seen);
});

test('is never worse than what it begins with, and ends where every map was scored', async () => {
  const first = [0, 2];
  const { map, scored } = await geneticMap(
    problem(2, 4, (each) => (each.join() === '0,2' ? 0 : 1), { firsts: [first] }),
  );
  expect({ map, scored }).toEqual({ map: first, scored: 6 });
  const whole = await geneticMap(problem(3, 3, () => 1));
  expect(whole).toEqual({ map: [0, 1, 2], score: 1, scored: 1 });
});
