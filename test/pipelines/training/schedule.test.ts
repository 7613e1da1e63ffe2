import { expect, test } from 'vitest';
import { Plateau, rateAt } from '../../../src/pipelines/training/schedule.ts';

test('a rate rises in the first twentieth of the steps and falls to nothing along a cosine', () => {
  expect([0, 4, 50, 99].map((step) => Number(rateAt(step, 100).toFixed(3)))).toEqual([0.2, 0.996, 0.5, 0]);
});

test('without a number of steps the rate falls where nothing is gained, and the fourth time is the end', () => {
  const plateau = new Plateau({ falls: 0, without: 0, best: 10 });
  const heard = [11, 11.01, 10, 11, 12, 9, 9, 9, 9, 9, 9, 12.01, 12.01, 12.01].map((db) => plateau.hear(db));
  expect(heard.join(' ')).toBe('keep go on go on fall keep go on go on fall go on go on fall go on go on end');
  expect(plateau.state).toEqual({ falls: 4, without: 0, best: 12 });
});

test('the rate is lower after each fall, and rises at first', () => {
  const at = (falls: number, step: number) =>
    Number(new Plateau({ falls, without: 0, best: 0 }).rateAt(step).toFixed(3));
  expect([at(0, 0), at(0, 29), at(0, 500), at(1, 500), at(2, 500)]).toEqual([0.033, 1, 1, 0.4, 0.16]);
});

test('goes on from its state', () => {
  const [whole, first] = [0, 1].map(() => new Plateau({ falls: 0, without: 0, best: 5 })) as [Plateau, Plateau];
  const measured = [6, 6, 6, 6, 7, 6, 6, 6, 6, 6, 6];
  const expected = measured.map((db) => whole.hear(db));
  const before = measured.slice(0, 5).map((db) => first.hear(db));
  const second = new Plateau(first.state);
  expect([...before, ...measured.slice(5).map((db) => second.hear(db))]).toEqual(expected);
});
