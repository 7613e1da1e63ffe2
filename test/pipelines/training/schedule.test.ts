import { expect, test } from 'vitest';
import { Plateau, rateAt, relativeRate, stepsBetweenTrials } from '../../../src/pipelines/training/schedule.ts';

const NEW = { most: 1000, without: 0, best: 10 };
const rates = (plateau: Plateau, steps: readonly number[]) =>
  steps.map((step) => Number(plateau.rateAt(step).toFixed(3)));

test('a rate rises in the first twentieth of the steps, stays to two fifths, and falls to nothing along a line', () => {
  const rates = [0, 4, 40, 70, 99].map((step) => Number(rateAt(step, 100).toFixed(3)));
  expect(rates).toEqual([0.2, 1, 1, 0.5, 0.017]);
});

test('weights move the less the more of them a sum has, biases and norms as much as asked', () => {
  expect([[64, 512], [512, 64], [512]].map((shape) => relativeRate(shape, 6))).toEqual([0.5, 4, 6]);
});

test('without a number of steps the rate is high for two fifths of the most, then falls to nothing along a line', () => {
  const plateau = new Plateau(NEW);
  expect(rates(plateau, [0, 29, 399, 400, 700, 999])).toEqual([0.033, 1, 1, 1, 0.5, 0.002]);
  expect([plateau.end, plateau.isFalling(399), plateau.isFalling(400)]).toEqual([1000, false, true]);
});

test('the rate falls earlier, and as long in proportion, where nothing is gained for a while', () => {
  const plateau = new Plateau(NEW);
  const measured = [11, 11.01, 12, 12.01, 12.01, 12.01] as const;
  const heard = measured.map((db, i) => plateau.hear(db, 50 * (i + 1)));
  expect(heard.join(' ')).toBe('keep go on keep go on go on fall');
  expect(plateau.end).toBe(750);
  expect(rates(plateau, [299, 300, 525, 749])).toEqual([1, 1, 0.5, 0.002]);
});

test('while the rate falls it does so to the end, and better weights are kept', () => {
  const plateau = new Plateau(NEW);
  const heard = [9, 9, 9, 9, 11].map((db, i) => plateau.hear(db, 400 + 50 * i));
  expect(heard.join(' ')).toBe('go on go on go on go on keep');
  expect(plateau.end).toBe(1000);
});

test('the rate never falls for longer than the most steps allow', () => {
  const plateau = new Plateau({ ...NEW, most: 100 });
  for (const step of [20, 25, 30]) plateau.hear(10, step);
  expect([plateau.end, plateau.isFalling(29), plateau.isFalling(30)]).toEqual([75, false, true]);
  const late = new Plateau({ ...NEW, most: 100, fallsFrom: 60 });
  expect(late.end).toBe(100);
});

/** What is said to measurements, 50 steps apart, by their first letters. */
function heard(measured: readonly number[], state = NEW): string {
  const plateau = new Plateau({ ...state, most: 5000 });
  return measured.map((db, i) => plateau.hear(db, 50 * (i + 1)).charAt(0)).join('');
}

test('a dip of what was near its teacher already is no plateau, as long as it goes down or up', () => {
  const fitted = { ...NEW, best: 14.1 };
  expect(heard([12.4, 11.2, 10.6, 10.6, 11.5, 12.9, 13.9, 14.5, 15], fitted)).toBe('gggggggkk');
  // Where it stays below, it is one.
  expect(heard([12.4, 11.2, 10.6, 10.6, 10.61, 10.6], fitted)).toBe('gggggf');
  // The way up counts as well where it ends just below the best.
  expect(heard([12, 13.7, 13.8, 13.9, 14.2], fitted)).toBe('ggggk');
});

test.each([
  ['noise is no dip', [13.9, 13.8, 13.7], 'ggf'],
  ['a dip does not go on without end', [13, 12.8, 12.6, 12.4, 12.2, 12, 11.8, 11.6, 11.4, 11.2, 11], 'ggggggggggf'],
  ['what doubles the error is none', [8, 7, 6], 'ggf'],
  ['nor are numbers that are none', [Number.NaN, Number.NaN, Number.NaN], 'ggf'],
])('%s', (_, measured, expected) => {
  expect(heard(measured, { ...NEW, best: 14.1 })).toBe(expected);
});

test('equality is nothing to dip from, and is all of a state that is no finite number', () => {
  const plateau = new Plateau({ ...NEW, best: Number.POSITIVE_INFINITY });
  expect([40, 39, 38].map((db, i) => plateau.hear(db, 50 * i)).join(' ')).toBe('go on go on fall');
  expect(plateau.state).toEqual({ ...NEW, best: Number.POSITIVE_INFINITY, without: 3, fallsFrom: 100 });
});

test('goes on from its state', () => {
  const whole = new Plateau(NEW);
  const heard = (plateau: Plateau, values: readonly number[], from: number) =>
    values.map((db, i) => [plateau.hear(db, from + 50 * i), plateau.end, plateau.rateAt(from + 50 * i)]);
  const measured = [11, 11, 11, 12, 11, 10, 11.5, 11.4, 11.3, 11.5, 13];
  const expected = heard(whole, measured, 50);
  for (const cut of [2, 5, 6, 9, 10]) {
    const second = new Plateau(NEW);
    const before = heard(second, measured.slice(0, cut), 50);
    const after = heard(new Plateau(second.state), measured.slice(cut), 50 + 50 * cut);
    expect([...before, ...after]).toEqual(expected);
  }
});

test('measurements take a twenty-fifth of the work, and come after 50 steps at the earliest', () => {
  expect([stepsBetweenTrials(512, 32), stepsBetweenTrials(63, 32)]).toEqual([100, 50]);
});
