import { expect, test } from 'vitest';
import { WORDS } from '../../../src/pipelines/search/changes.ts';
import type { FormCosts } from '../../../src/pipelines/search/form-costs.ts';
import type { Latencies } from '../../../src/pipelines/search/latency.ts';
import type { Score } from '../../../src/pipelines/search/score-candidates.ts';
import { leastOf, termsOf } from '../../../src/pipelines/search/terms.ts';

/** A form of a quarter of the bytes and two fifths of the time. */
const FORM: FormCosts = {
  form: 'dynamic',
  bytes: 1000,
  perWeight: { words: 2, layers: 1 },
  perVector: 4,
  noise: 0.1,
  time: 0.4,
  narrow: [],
};
const score: Score = {
  layer: 0,
  change: { kind: 'drop' },
  noise: 0.2,
  saved: { weights: 100, vectors: 10, operations: 50 },
};
/** The layer takes a quarter of the teacher's time. */
const latencies = { teacher: 8, saved: new Map([[score, 2]]) } as unknown as Latencies;

test('a form saves the same share of its own time as floats do, and is below a budget by that much', () => {
  const { savingOf, needed } = termsOf({ kind: 'latency', ratio: 0.35 }, FORM, latencies);
  expect(needed).toBeCloseTo(0.05, 12);
  expect(savingOf(score)).toBeCloseTo(0.1, 12);
  expect(leastOf({ kind: 'latency', ratio: 0.35 }, FORM, { scores: [score], latencies })).toBeCloseTo(0.3, 12);
});

test('a form saves its own bytes', () => {
  const budget = { kind: 'size', bytes: 900 } as const;
  const { savingOf, needed } = termsOf(budget, FORM, undefined);
  expect([savingOf(score), needed]).toEqual([140, 100]);
  const words: Score = { ...score, layer: WORDS, change: { kind: 'rank', rank: 2 } };
  expect(savingOf(words)).toBe(240);
  expect(leastOf(budget, FORM, { scores: [score], latencies: undefined })).toBe(860);
});
