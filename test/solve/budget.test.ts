import { expect, test } from 'vitest';
import { type BudgetGroup, chooseSteps } from '../../src/solve/budget.ts';
import { fc } from '../fast-check.ts';

const group = (saving: number, ...errors: number[]): BudgetGroup => ({ errors: Float64Array.of(0, ...errors), saving });

test('takes the steps that cost least for what they save', () => {
  const groups = [group(1, 1, 3, 9), group(2, 1, 5, 20)];
  expect(chooseSteps(groups, 2)).toEqual([0, 1]);
  expect(chooseSteps(groups, 3)).toEqual([1, 1]);
  expect(chooseSteps(groups, 5)).toEqual([2, 2]);
});

test('takes a dear step where the next ones are free', () => {
  expect(chooseSteps([group(1, 3, 3, 3), group(1, 2, 4, 6)], 3)).toEqual([3, 0]);
});

test('a cheap step behind a dear one counts with it', () => {
  // Both of the first cost 10.5 and the last of them 0.5, both of the second 8.
  expect(chooseSteps([group(1, 10, 10.5), group(1, 4, 8)], 2)).toEqual([0, 2]);
});

test('of groups that cost alike the first goes', () => {
  expect(chooseSteps([group(1, 2, 4), group(1, 2, 4)], 2)).toEqual([2, 0]);
});

test('takes nothing for nothing, and all where that is not enough', () => {
  expect(chooseSteps([group(1, 1, 2)], 0)).toEqual([0]);
  expect(chooseSteps([group(1, 1, 2), group(1, 5)], 9)).toEqual([2, 1]);
});

test('no choice that saves as much has a smaller error, where each step is dearer than the last', () => {
  const curve = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 4 }).map((rises) => {
    let error = 0;
    return Float64Array.of(0, ...rises.sort((a, b) => a - b).map((rise) => (error += rise)));
  });
  const sum = (groups: readonly BudgetGroup[], steps: readonly number[]) =>
    steps.reduce((total, step, i) => total + (groups[i]?.errors[step] as number), 0);
  fc.assert(
    fc.property(curve, curve, (a, b) => {
      const groups = [a, b].map((errors) => ({ errors, saving: 1 }));
      const most = a.length + b.length - 2;
      for (let saving = 0; saving <= most; saving++) {
        const steps = chooseSteps(groups, saving);
        expect((steps[0] as number) + (steps[1] as number)).toBe(saving);
        for (let first = Math.max(0, saving - b.length + 1); first <= Math.min(saving, a.length - 1); first++)
          expect(sum(groups, steps)).toBeLessThanOrEqual(sum(groups, [first, saving - first]));
      }
    }),
  );
});
