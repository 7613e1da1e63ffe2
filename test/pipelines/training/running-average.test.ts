import { expect, test } from 'vitest';
import { RunningAverage } from '../../../src/pipelines/training/running-average.ts';

const arrayOf = (...values: number[]) => ({ name: 'w', shape: [values.length], values: Float32Array.from(values) });

test('an average forgets where it began in about fifty steps, and halves what is thrown to and fro', () => {
  const array = arrayOf(0, 1);
  const average = new RunningAverage([array]);
  for (let step = 0; step < 50; step++) {
    array.values.set([1, step % 2 === 0 ? -1 : 1]);
    average.add();
  }
  const [moved, thrown] = (average.state[0] as { readonly values: Float32Array }).values;
  expect(moved).toBeCloseTo(1 - 1 / Math.E, 1);
  expect(Math.abs(thrown as number)).toBeLessThan(0.4);
});

test('an average is shown in the place of the values, and put back, however often', () => {
  const array = arrayOf(1, 2);
  const average = new RunningAverage([array], [arrayOf(5, 6)]);
  average.show();
  average.show();
  expect([...array.values]).toEqual([5, 6]);
  average.hide();
  average.hide();
  expect([...array.values]).toEqual([1, 2]);
  expect([...(average.state[0] as { readonly values: Float32Array }).values]).toEqual([5, 6]);
});
