import { describe, expect, test } from 'vitest';
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { Task } from '../../../src/models/index.ts';
import { type Answer, answerOf, Comparison } from '../../../src/pipelines/evaluate/answers.ts';

const MASK = 4;
/** Three tokens, the second of which is to be guessed; everything behind them is padding. */
const ROW = { inputIds: [2, MASK, 3], tokenTypeIds: [0, 0, 0] };

type Values = readonly [values: readonly number[], ...shape: number[]];

function outputs(given: { readonly [name: string]: Values }): Map<string, Tensor> {
  return new Map(
    Object.entries(given).map(([name, [values, ...shape]]) => [
      name,
      tensorOf('f32', shape, Float32Array.from(values)),
    ]),
  );
}

function answer(task: Task | undefined, given: { readonly [name: string]: Values }, row = ROW) {
  const { values, choices } = answerOf({ task, mask: MASK }, outputs(given), row);
  return { values: [...values], choices: [...choices] };
}

describe('an answer', () => {
  test.each<[string, Task | undefined, { readonly [name: string]: Values }, number[], number[]]>([
    ['is the class', 'sequence-classification', { logits: [[1, 5, 2], 1, 3] }, [1, 5, 2], [1]],
    ['is no choice but a number where there is one', 'sequence-classification', { logits: [[7, 8], 2, 1] }, [7], []],
    ['is that of the first row of a batch', 'next-sentence', { logits: [[1, 5, 9, 0], 2, 2] }, [1, 5], [1]],
    ['is the choice', 'multiple-choice', { logits: [[0, 2, 1, 0], 1, 4] }, [0, 2, 1, 0], [1]],
    [
      'is a class for each token but padding',
      'token-classification',
      { logits: [[1, 0, 0, 2, 3, 0, 9, 9], 1, 4, 2] },
      [1, 0, 0, 2, 3, 0],
      [0, 1, 0],
    ],
    [
      'is the span of the largest start and end, padding left out',
      'qa',
      { start_logits: [[0, 3, 1, 9], 1, 4], end_logits: [[0, 1, 5, 9], 1, 4] },
      [0, 3, 1, 0, 1, 5],
      [1 * 3 + 2],
    ],
    [
      'is the word at the place to be guessed',
      'masked-lm',
      { logits: [[9, 0, 1, 2, 9, 0, 9, 0], 1, 4, 2] },
      [1, 2],
      [1],
    ],
    [
      'is the word and the order of sentences',
      'pretraining',
      { prediction_logits: [[9, 0, 1, 2, 9, 0], 1, 3, 2], seq_relationship_logits: [[4, 3], 1, 2] },
      [1, 2, 4, 3],
      [1, 0],
    ],
    [
      'is no choice but the features of each token',
      'features',
      { x: [[1, 2, 3, 4, 5, 6, 7, 8], 1, 4, 2] },
      [1, 2, 3, 4, 5, 6],
      [],
    ],
    [
      'of a graph that does not say what it is for is a choice by two axes',
      undefined,
      { y: [[1, 3], 1, 2] },
      [1, 3],
      [1],
    ],
    ['of such a graph is features by three', undefined, { y: [[1, 2, 3, 9], 1, 4, 1] }, [1, 2, 3], []],
  ])('%s', (_, task, given, values, choices) => {
    expect(answer(task, given)).toEqual({ values, choices });
  });

  test('of a model that guesses words is the first token where none is to be guessed', () => {
    const plain = { inputIds: [2, 8, 3], tokenTypeIds: [0, 0, 0] };
    expect(answer('masked-lm', { logits: [[5, 1, 0, 1, 0, 1], 1, 3, 2] }, plain)).toEqual({
      values: [5, 1],
      choices: [0],
    });
  });
});

describe('two answers', () => {
  const of = (values: readonly number[], choices: readonly number[] = []): Answer => ({
    values: Float32Array.from(values),
    choices,
  });

  test('are as far apart as all their values are', () => {
    const comparison = new Comparison();
    comparison.add(of([3, 0]), of([3, 1]));
    comparison.add(of([4]), of([2]));
    expect(comparison.rows).toBe(2);
    expect(comparison.noiseRatio).toBeCloseTo(5 / 25, 12);
    expect(comparison.sqnrDb).toBeCloseTo(10 * Math.log10(5), 12);
  });

  test('agree in the share of their choices that are equal', () => {
    const comparison = new Comparison();
    comparison.add(of([1], [0, 1, 2]), of([1], [0, 1, 1]));
    comparison.add(of([1], [5]), of([1], [4]));
    expect(comparison.agreement).toBe(0.5);
  });

  test('agree as far as they rise and fall together where they are numbers', () => {
    const comparison = new Comparison();
    for (const [a, b] of [
      [1, 5],
      [2, 3],
      [3, 1],
    ] as const)
      comparison.add(of([a]), of([b]));
    expect(comparison.agreement).toBeCloseTo(-1, 12);
  });

  test('agree by the mean of their cosines where they are features', () => {
    const comparison = new Comparison();
    comparison.add(of([1, 0]), of([2, 0]));
    comparison.add(of([1, 0]), of([3, 3]));
    expect(comparison.agreement).toBeCloseTo((1 + Math.SQRT1_2) / 2, 12);
  });

  test('never agree in a choice that no number was the largest of', () => {
    const comparison = new Comparison();
    comparison.add(of([Number.NaN], [-1]), of([Number.NaN], [-1]));
    expect(comparison.agreement).toBe(0);
  });
});

describe('labels, any number of which apply,', () => {
  const reading = { task: 'sequence-classification', logitsKind: 'multi-label', mask: MASK } as const;
  const labels = (...values: number[]) => answerOf(reading, outputs({ logits: [values, 1, values.length] }), ROW);

  test('are decided each for itself, at a half', () => {
    expect(labels(3, -1, 0.5, 0).choices).toEqual([1, 0, 1, 0]);
    expect(labels(0.1).choices).toEqual([1]);
    const probabilities = answerOf(reading, outputs({ probability: [[0.9, 0.3, 0.51, 0.5], 1, 4] }), ROW);
    expect(probabilities).toMatchObject({ choices: [1, 0, 1, 0], areProbabilities: true });
    expect(labels(3)).not.toHaveProperty('areProbabilities');
  });

  test('agree by the share of decisions, whichever is the largest', () => {
    const comparison = new Comparison();
    comparison.add(labels(3, 2, -1, -2), labels(2, 3, -1, 1));
    expect(comparison.agreement).toBe(0.75);
  });

  test('that are no number agree with nothing', () => {
    const comparison = new Comparison();
    comparison.add(labels(Number.NaN, 1), labels(Number.NaN, 1));
    expect(comparison.agreement).toBe(0.5);
  });
});

test('a regression agrees with its equal where answers do not vary', () => {
  const same = new Comparison();
  const other = new Comparison();
  for (const answered of [0.5, 0.5]) {
    const one = { values: Float32Array.of(answered), choices: [] };
    same.add(one, one);
    other.add(one, { values: Float32Array.of(0.6), choices: [] });
  }
  expect([same.agreementOf, same.agreement]).toEqual(['correlation', 1]);
  expect(other.agreement).toBeNaN();
});
