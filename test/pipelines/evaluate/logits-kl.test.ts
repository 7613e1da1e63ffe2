import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { tensorOf } from '../../../src/ir/tensor.ts';
import type { Task } from '../../../src/models/index.ts';
import { LogitsKl, outputKinds } from '../../../src/pipelines/evaluate/logits-kl.ts';
import { graphOf } from '../../core.ts';

const tensor = (shape: readonly number[], ...values: number[]) => tensorOf('f32', shape, Float32Array.from(values));

/** Σ p log(p / q) of two softmaxes. */
function kl(a: readonly number[], b: readonly number[]): number {
  const softmax = (logits: readonly number[]) => {
    const sum = logits.reduce((total, value) => total + Math.exp(value), 0);
    return logits.map((value) => Math.exp(value) / sum);
  };
  const [p, q] = [softmax(a), softmax(b)];
  return p.reduce((sum, share, i) => sum + share * Math.log(share / (q[i] as number)), 0);
}

describe('the divergence of answers', () => {
  test('of a choice is that of its row, the mean over sequences', () => {
    const sum = new LogitsKl('choice');
    sum.add(tensor([1, 3], 1, 2, 3), tensor([1, 3], 0, 0, 0), 7);
    sum.add(tensor([1, 3], 1, 1, 1), tensor([1, 3], 1, 1, 1), 2);
    expect(sum.mean).toBeCloseTo(kl([1, 2, 3], [0, 0, 0]) / 2, 6);
  });

  test('of token classes is the mean over tokens, padding left out', () => {
    const sum = new LogitsKl('token-choices');
    sum.add(tensor([1, 3, 2], 1, 0, 0, 1, 9, -9), tensor([1, 3, 2], 0, 1, 0, 1, -9, 9), 2);
    expect(sum.mean).toBeCloseTo((kl([1, 0], [0, 1]) + 0) / 2, 6);
  });

  test('of a span is that over its tokens, padding left out', () => {
    const sum = new LogitsKl('span');
    sum.add(tensor([1, 4], 1, 2, 3, 50), tensor([1, 4], 3, 2, 1, -50), 3);
    expect(sum.mean).toBeCloseTo(kl([1, 2, 3], [3, 2, 1]), 6);
  });

  test('of labels is the sum of the divergences of their probabilities, the mean over sequences', () => {
    const sum = new LogitsKl('labels');
    // ln 2 less the entropy of sigmoid(2) = 0.8808, for each of the two labels whose other side is at a half.
    sum.add(tensor([1, 3], 2, -2, 5), tensor([1, 3], 0, 0, 5), 7);
    sum.add(tensor([1, 3], 1, 1, 1), tensor([1, 3], 1, 1, 1), 2);
    expect(sum.mean).toBeCloseTo(Math.LN2 - 0.365334, 5);
  });

  test('of labels is finite where both are sure of the opposite', () => {
    const sum = new LogitsKl('labels');
    sum.add(tensor([1, 1], 800), tensor([1, 1], -800), 1);
    expect(sum.mean).toBeCloseTo(800, 3);
  });

  test('is finite where a logit is hundreds above the others', () => {
    const sum = new LogitsKl('choice');
    sum.add(tensor([1, 2], 800, 0), tensor([1, 2], 0, 800), 1);
    expect(sum.mean).toBeCloseTo(800, 3);
  });
});

describe('outputs are compared', () => {
  const graph = (outputs: string): Graph =>
    graphOf(`graph g (input_ids: i64[1, sequence])
  words = gather(t f32[5, 6] #1, input_ids)
  two = linear(words, w f32[2, 6] #2)
  one = linear(words, v f32[1, 6] #3)
  start = reshape(one) {shape: [1, sequence]}
  first = slice(words) {axis: 1, end: 1}
  pooled = reshape(first) {shape: [1, 6]}
  classes = linear(pooled, u f32[3, 6] #4)
  score = linear(pooled, s f32[1, 6] #5)
  wide = linear(pooled, x f32[4, 6] #6)
  shares = softmax(classes)
return ${outputs}`);
  const kinds = (a: string, b: string, task?: Task) =>
    outputKinds(graph(a), graph(b), { task }).map(({ teacher, kind }) => `${teacher.name}: ${kind}`);

  test.each<[string, string, string, Task | undefined, string[]]>([
    ['as choices with two axes', 'y: classes', 'y: classes', undefined, ['classes: choice']],
    ['as spans in question answering', 'y: start', 'y: start', 'qa', ['start: span']],
    ['token by token with three axes', 'y: two', 'y: two', 'token-classification', ['two: token-choices']],
    ['not where nobody says what three axes are', 'y: two', 'y: two', undefined, []],
    ['not where they are features', 'y: classes', 'y: classes', 'features', []],
    ['not where they are probabilities', 'probability: classes', 'probability: classes', 'sequence-classification', []],
    ['not where one model makes probabilities of them', 'y: classes', 'y: shares', 'sequence-classification', []],
    ['not where both do', 'y: shares', 'y: shares', undefined, []],
    ['not where a row has one value', 'y: score', 'y: score', 'sequence-classification', []],
    ['not with another number of classes', 'y: classes', 'y: wide', 'sequence-classification', []],
    ['not with other axes', 'y: classes', 'y: two', 'sequence-classification', []],
    ['not under another name', 'y: classes', 'z: classes', 'sequence-classification', []],
  ])('%s', (_, a, b, task, expected) => {
    expect(kinds(a, b, task)).toEqual(expected);
  });

  test.each([
    ['classes', 'classes: labels'],
    ['score', 'score: labels'],
  ])('label by label where any number of them applies: %s', (output, expected) => {
    const reading = { task: 'sequence-classification', logitsKind: 'multi-label' } as const;
    const [a, b] = [graph(`y: ${output}`), graph(`y: ${output}`)];
    expect(outputKinds(a, b, reading).map(({ teacher, kind }) => `${teacher.name}: ${kind}`)).toEqual([expected]);
  });
});
