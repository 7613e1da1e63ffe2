import { describe, expect, test } from 'vitest';
import { type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import type { Answer } from '../../../src/pipelines/evaluate/answers.ts';
import { commonShape, type Running } from '../../../src/pipelines/evaluate/running.ts';
import { distanceOf } from '../../../src/pipelines/verify/view-distances.ts';
import { compareViews, ViewSums } from '../../../src/pipelines/verify/views.ts';
import { loaderOf, shapeOf } from '../loaded.ts';
import { plainInputs } from './plain-inputs.ts';

/** Logits whose probabilities are these. */
const logits = (...probabilities: readonly number[]) => probabilities.map(Math.log);

const answer = (values: readonly number[], choices: readonly number[]): Answer => ({
  values: Float32Array.from(values),
  choices,
});

/** A classifier that answers by the number of tokens it is shown. */
function classifier(answerTo: (tokens: number) => readonly number[]): Running {
  const shape = ['batch', 'sequence'];
  return {
    path: 'm',
    session: {
      inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, dtype: 'i64', shape })),
      outputs: [{ name: 'logits', dtype: 'f32', shape: ['batch', 2] }],
      run: async (feeds) => {
        const values = answerTo((feeds.get('input_ids') as Tensor).shape[1] as number);
        return new Map([['logits', tensorOf('f32', [1, values.length], Float32Array.from(values))]]);
      },
      close: async () => {},
    },
  };
}

const row = (...words: readonly number[]) => ({
  inputIds: [2, ...words, 3],
  tokenTypeIds: new Array<number>(words.length + 2).fill(0),
});

describe('the distance between answers', () => {
  test('of a classifier is the probability that moved', () => {
    const { measure, between } = distanceOf({ task: 'sequence-classification' }, answer([0, 1], [1]));
    expect(measure).toBe('probability');
    const [a, b] = [answer(logits(0.5, 0.3, 0.2), [0]), answer(logits(0.1, 0.3, 0.6), [2])];
    expect(between(a, b, 4)).toBeCloseTo(0.4, 6);
    // An offset of all logits changes no probability.
    expect(
      between(
        a,
        answer(
          [...a.values].map((value) => value + 7),
          [0],
        ),
        4,
      ),
    ).toBeCloseTo(0, 6);
  });

  test('of several choices is their mean: tokens, words at [MASK], start and end of a span', () => {
    const a = answer([...logits(0.5, 0.5), ...logits(0.9, 0.1)], [0, 0]);
    const b = answer([...logits(0.1, 0.9), ...logits(0.9, 0.1)], [1, 0]);
    expect(distanceOf({ task: 'token-classification' }, a).between(a, b, 2)).toBeCloseTo(0.2, 6);
    expect(distanceOf({ task: 'masked-lm' }, a).between(a, b, 9)).toBeCloseTo(0.2, 6);
    expect(distanceOf({ task: 'qa' }, a).between({ ...a, choices: [0] }, { ...b, choices: [2] }, 2)).toBeCloseTo(
      0.2,
      6,
    );
    const ordered = (words: Answer, ...order: readonly number[]) => answer([...words.values, ...order], [0, 0, 1]);
    expect(distanceOf({ task: 'pretraining' }, a).between(ordered(a, 0, 9), ordered(b, 9, 0), 2)).toBeCloseTo(0.2, 6);
  });

  test('of scores of tokens is by their logistic function, of a regression the difference, of vectors 1 - cosine', () => {
    const scores = distanceOf({ task: 'replaced-tokens' }, answer([0], [0]));
    expect(scores.between(answer([0, 0], [0, 0]), answer([Math.log(3), 0], [1, 0]), 2)).toBeCloseTo(0.125, 6);
    const number = distanceOf({ task: 'sequence-classification' }, answer([2.5], []));
    expect(number.measure).toBe('difference');
    expect(number.between(answer([2.5], []), answer([-1], []), 3)).toBeCloseTo(3.5, 6);
    const vectors = distanceOf({ task: 'sentence-embedding' }, answer([1, 0], []));
    expect(vectors.measure).toBe('cosine');
    expect(vectors.between(answer([1, 0], []), answer([3, 3], []), 3)).toBeCloseTo(1 - Math.SQRT1_2, 6);
  });
});

describe('views of two models', () => {
  const inputs = plainInputs([row(10, 11, 12, 13), row(20, 21)], {
    texts: [['a long one'], ['short']],
    classNames: ['no', 'yes'],
    mask: 4,
  });
  // The reference is sure of everything; the model changes its mind where it sees less than 5 tokens.
  const reference = classifier(() => logits(0.2, 0.8));
  const model = classifier((tokens) => (tokens < 5 ? logits(0.6, 0.4) : logits(0.3, 0.7)));
  const compare = (views: Parameters<typeof compareViews>[3]['views'], full?: ViewSums) =>
    compareViews(loaderOf(model), loaderOf(reference), full, {
      task: 'sequence-classification',
      shape: commonShape([model, reference].map(shapeOf), undefined),
      inputs,
      views,
      progress: () => {},
    });

  test('show both the same part, and name the texts where they part most', async () => {
    const found = await compare(['left', 'masked']);
    expect(found?.measure).toBe('probability');
    const [left, masked] = found?.views ?? [];
    expect(left).toMatchObject({ view: 'left', samples: 2, agreement: 0 });
    expect(masked).toMatchObject({ view: 'masked', samples: 2, agreement: 0.5 });
    expect(masked?.meanDistance).toBeCloseTo((0.4 + 0.1) / 2, 6);
    expect(masked?.parted).toEqual([
      { sample: 2, texts: ['short'], reference: 'yes', model: 'no', distance: expect.closeTo(0.4, 6) },
      { sample: 1, texts: ['a long one'], reference: 'yes', model: 'yes', distance: expect.closeTo(0.1, 6) },
    ]);
  });

  test('take the answers to whole texts from where they were given', async () => {
    const full = new ViewSums('full', { task: 'sequence-classification' }, inputs);
    full.add(0, answer(logits(0.2, 0.8), [1]), answer(logits(0.7, 0.3), [0]));
    const found = await compare(['full', 'right'], full);
    expect(found?.views.map(({ view, samples }) => [view, samples])).toEqual([
      ['full', 1],
      ['right', 2],
    ]);
    expect(await compare([])).toBeNull();
  });

  test('list 20 texts, and an answer of NaN as the first', () => {
    const sums = new ViewSums('full', { task: 'sequence-classification' }, plainInputs(new Array(30).fill(row(9))));
    for (let i = 0; i < 29; i++) sums.add(i, answer(logits(0.5, 0.5), [0]), answer(logits(0.5, 0.5), [0]));
    sums.add(29, answer(logits(0.5, 0.5), [0]), answer([Number.NaN, 0], [-1]));
    const { parted, meanDistance, agreement } = sums.result();
    expect(parted).toHaveLength(20);
    expect(parted[0]).toEqual({ sample: 30, texts: null, reference: '0', model: 'none', distance: null });
    expect({ meanDistance, agreement }).toEqual({ meanDistance: null, agreement: 29 / 30 });
  });

  test('of a regression agree as their numbers rise together', () => {
    const sums = new ViewSums('full', { task: 'sequence-classification' }, plainInputs([row(9), row(9), row(9)]));
    for (const [i, value] of [1, 2, 4].entries()) sums.add(i, answer([value], []), answer([5 - 2 * value], []));
    const { agreement, parted } = sums.result();
    expect(agreement).toBeCloseTo(-1, 9);
    expect(parted[0]).toEqual({ sample: 3, texts: null, reference: '4.000', model: '-3.000', distance: 7 });
  });
});
