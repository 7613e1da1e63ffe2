import { expect, test } from 'vitest';
import type { Batch } from '../../../src/pipelines/training/texts.ts';
import { timedSteps } from '../../../src/pipelines/training/timed-steps.ts';

const batchOf = (length: number): Batch => {
  const row = { inputIds: Array<number>(length).fill(1), tokenTypeIds: Array<number>(length).fill(0) };
  const shorter = { ...row, inputIds: [1] };
  const lesson = { teacher: row, student: row, label: undefined };
  return { view: 'full', lessons: [{ teacher: shorter, student: shorter, label: undefined }, lesson] };
};

/** A machine that takes 1 ms for a token with its padding. */
function timed(lengths: readonly number[], otherMs = 0) {
  let nowMs = 500;
  let runs = 0;
  const values = Float32Array.of(1, -2, 0);
  const gradients = async ({ lessons }: Batch) => {
    runs++;
    nowMs += lessons.length * (lessons[1]?.student.inputIds.length as number);
    return new Map([['w', { values: Float32Array.of(3, 3, 3) }]]);
  };
  const options = {
    runs: { names: ['w'], gradients },
    arrays: new Map([['w', { name: 'w', shape: [3], values }]]),
    batches: lengths.map(batchOf),
    otherMs,
    nowMs: () => nowMs,
  };
  return { values, options, runs: () => runs };
}

test('as many steps fit into a time as it has room for beside the timing and what else is done', async () => {
  const { values, options, runs } = timed([10, 10, 10, 10], 1620);
  // Four steps of 20 ms are timed; 97 % of the time are planned with.
  expect(await timedSteps(10_000, options)).toBe((9700 - 80 - 1620) / 20);
  expect(runs()).toBe(4);
  expect([...values]).toEqual([1, -2, 0]);
});

test('few batches stand for those of all lengths', async () => {
  const { options, runs } = timed([10, 10, 10, 50, 50, 50]);
  // The third step ends behind 60 ms, more than a twentieth of the time; a step has 30 · 2 tokens.
  expect(await timedSteps(1100, options)).toBe(Math.floor((0.97 * 1100 - 60) / 60));
  expect(runs()).toBe(3);
});

test('a time that is too short for a step is refused, not trained in', async () => {
  const { options } = timed([10, 10, 10]);
  await expect(timedSteps(60, options)).rejects.toThrow('0.001 minutes: is too short for one step of 20 ms');
  // Three steps are timed.
  expect(await timedSteps(82.5, options)).toBe(1);
});
