import { expect, test } from 'vitest';
import { type Choice, choicesByBins, chooseOptions, type Option } from '../../src/solve/choose-options.ts';
import { fc } from '../fast-check.ts';

/** Every choice of one option of each part. */
function allChoices(parts: readonly (readonly Option[])[]): Choice[] {
  let all: Choice[] = [{ saving: 0, error: 0, picks: [] }];
  for (const options of parts) {
    all = all.flatMap((choice) =>
      options.map((option, place) => ({
        saving: choice.saving + option.saving,
        error: choice.error + option.error,
        picks: [...choice.picks, place],
      })),
    );
  }
  return all;
}

const option = fc.record({ saving: fc.integer({ min: 0, max: 20 }), error: fc.integer({ min: 0, max: 50 }) });
const parts = fc.array(fc.array(option, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 });

test('the best choice that saves enough is found, and those that come next', () => {
  fc.assert(
    fc.property(parts, fc.integer({ min: 0, max: 60 }), (options, needed) => {
      const errors = allChoices(options)
        .filter(({ saving }) => saving >= needed)
        .map(({ error }) => error)
        .sort((a, b) => a - b);
      const found = chooseOptions(options, needed, 3);
      expect(found.map(({ error }) => error)).toEqual(errors.slice(0, 3));
      for (const { picks, saving } of found) {
        expect(saving).toBe(picks.reduce((sum, pick, part) => sum + (options[part]?.[pick]?.saving as number), 0));
        expect(saving).toBeGreaterThanOrEqual(needed);
      }
    }),
  );
});

test('nothing is chosen where all parts together do not save enough', () => {
  const two = [
    [
      { saving: 0, error: 0 },
      { saving: 3, error: 1 },
    ],
    [{ saving: 2, error: 1 }],
  ];
  expect(chooseOptions(two, 5, 1)).toEqual([{ saving: 5, error: 2, picks: [1, 0] }]);
  expect(chooseOptions(two, 5.001, 1)).toEqual([]);
});

test('of each range of savings the choice with the least error stays', () => {
  const one = [
    { saving: 0, error: 0 },
    { saving: 1, error: 5 },
    { saving: 1.5, error: 3 },
    { saving: 3, error: 9 },
    { saving: 4, error: 8 },
  ];
  // Ranges of two: 0 to 2, 2 to 4, and 4 by itself.
  expect(choicesByBins([one], 2).map(({ picks }) => picks)).toEqual([[0], [3], [4]]);
  expect(choicesByBins([one], 4).map(({ picks }) => picks)).toEqual([[0], [2], [3], [4]]);
});

test('with many parts the savings are told apart in ranges, and what is chosen saves enough all the same', () => {
  const many = Array.from({ length: 40 }, (_, part) =>
    Array.from({ length: 12 }, (_, level) => ({
      saving: level * (100 + part),
      error: level * level * (1 + (part % 5)),
    })),
  );
  const [found] = chooseOptions(many, 25_000, 1);
  expect(found?.saving).toBeGreaterThanOrEqual(25_000);
  // What is chosen by the error for each unit saved, part by part, is the bound that no choice is below.
  const taken = many.map(() => 0);
  let [saved, bound] = [0, 0];
  while (saved < 25_000) {
    const price = (part: number) => ((2 * (taken[part] as number) + 1) * (1 + (part % 5))) / (100 + part);
    const best = many
      .map((_, part) => part)
      .reduce((a, b) => (price(b) < price(a) && (taken[b] as number) < 11 ? b : a));
    const part = Math.min(1, (25_000 - saved) / (100 + best));
    bound += part * price(best) * (100 + best);
    saved += 100 + best;
    taken[best] = (taken[best] as number) + 1;
  }
  expect(found?.error).toBeLessThan(1.02 * bound);
  expect(found?.error).toBeGreaterThanOrEqual(0.999 * bound);
});
