import { expect, test } from 'vitest';
import { type Candidate, onFront } from '../../../src/pipelines/compare/front.ts';

const model = (bytes: number, ms: number, lost: number, more: Partial<Candidate> = {}): Candidate => ({
  format: 'onnx',
  bytes,
  ms,
  lost,
  failures: [],
  ...more,
});

function front(...all: readonly Candidate[]): boolean[] {
  return all.map((each) => onFront(each, all));
}

test('a model that is worse in one respect and better in none is not on the front', () => {
  expect(front(model(10, 5, 0), model(10, 6, 0))).toEqual([true, false]);
  expect(front(model(10, 5, 0), model(11, 5, 0))).toEqual([true, false]);
  expect(front(model(10, 5, 0), model(10, 5, 0.1))).toEqual([true, false]);
});

test('models that each win somewhere are all on it, and so are twins', () => {
  expect(front(model(10, 9, 9), model(11, 5, 9), model(12, 9, 0))).toEqual([true, true, true]);
  expect(front(model(10, 5, 0), model(10, 5, 0))).toEqual([true, true]);
});

test('formats are of two runtimes and do not compete', () => {
  expect(front(model(10, 5, 0), model(20, 50, 1, { format: 'tflite' }))).toEqual([true, true]);
});

test('a model that has failed, or whose loss is no number, keeps none off', () => {
  expect(front(model(10, 5, 0), model(1, 1, 0, { failures: ['output logits: holds NaN'] }))).toEqual([true, false]);
  expect(front(model(10, 5, 0), model(10, 5, Number.NaN))).toEqual([true, false]);
});
