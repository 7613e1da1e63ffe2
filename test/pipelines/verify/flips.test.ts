import { describe, expect, test } from 'vitest';
import { confusionMatrix } from '../../../src/metrics/task-metrics.ts';
import type { Answer } from '../../../src/pipelines/evaluate/answers.ts';
import { FlipList } from '../../../src/pipelines/verify/flips.ts';
import type { Inputs } from '../../../src/pipelines/verify/inputs.ts';
import { plainInputs } from './plain-inputs.ts';

const ROW = { inputIds: [2, 5, 6, 3], tokenTypeIds: [0, 0, 0, 0] };

function inputsOf(count: number, more: Partial<Inputs> = {}): Inputs {
  return plainInputs(
    Array.from({ length: count }, () => ROW),
    more,
  );
}

/** An answer of logits, as a classifier gives it. */
function logits(...values: number[]): Answer {
  return { values: Float32Array.from(values), choices: [values.indexOf(Math.max(...values))] };
}

describe('changed answers', () => {
  test('are all labels that apply, where any of them has changed', () => {
    const list = new FlipList(
      { task: 'sequence-classification', logitsKind: 'multi-label' },
      inputsOf(3, { classNames: ['a', 'b', 'c'] }),
    );
    const labels = (...choices: number[]): Answer => ({ values: Float32Array.from(choices), choices });
    list.add(0, labels(1, 0, 1), labels(1, 0, 1));
    list.add(1, labels(1, 0, 1), labels(1, 1, 1));
    list.add(2, labels(0, 1, 0), labels(0, 0, 0));
    expect(list.result()).toEqual({
      count: 2,
      shown: [
        { sample: 2, texts: null, label: null, reference: 'a, c', model: 'a, b, c' },
        { sample: 3, texts: null, label: null, reference: 'b', model: 'no label' },
      ],
    });
  });

  test('are named with text, label and margins, the surest of the reference first', () => {
    const list = new FlipList(
      { task: 'sequence-classification' },
      inputsOf(3, {
        texts: [['fine'], undefined, ['good', 'better']],
        labels: { kind: 'classes', values: [1, 0, 0], classes: 2 },
        classNames: ['bad', 'good'],
      }),
    );
    list.add(0, logits(1, 1.5), logits(1, 0.75));
    list.add(1, logits(3, 1), logits(3, 2));
    list.add(2, logits(4, 1), logits(0, 2));
    expect(list.result()).toEqual({
      count: 2,
      shown: [
        {
          sample: 3,
          texts: ['good', 'better'],
          label: 'bad',
          reference: 'bad',
          model: 'good',
          margins: { reference: 3, model: 2 },
        },
        {
          sample: 1,
          texts: ['fine'],
          label: 'good',
          reference: 'good',
          model: 'bad',
          margins: { reference: 0.5, model: 0.25 },
        },
      ],
    });
  });

  test('without names are numbers, and NaN is no answer', () => {
    const list = new FlipList({ task: 'multiple-choice' }, inputsOf(1));
    list.add(0, logits(0, 9, 1), { values: Float32Array.of(Number.NaN, Number.NaN, 1), choices: [-1] });
    const [flip] = list.result()?.shown ?? [];
    expect(flip).toMatchObject({ reference: '1', model: 'none', label: null, texts: null });
    expect(flip?.margins).toEqual({ reference: 8, model: null });
  });

  test('of spans are places of tokens', () => {
    const list = new FlipList({ task: 'qa' }, inputsOf(1));
    const span = (start: number, end: number) => ({ values: new Float32Array(8), choices: [start * 4 + end] });
    list.add(0, span(1, 2), span(1, 1));
    expect(list.result()).toEqual({
      count: 1,
      shown: [{ sample: 1, texts: null, label: null, reference: 'start 1, end 2', model: 'start 1, end 1' }],
    });
  });

  test('are listed up to a limit and counted beyond it', () => {
    const list = new FlipList({ task: 'sequence-classification' }, inputsOf(60));
    for (let i = 0; i < 60; i++) list.add(i, logits(i + 1, 0), logits(0, 1));
    const { count, shown } = list.result() ?? { count: 0, shown: [] };
    expect(count).toBe(60);
    expect(shown).toHaveLength(50);
    expect(shown[0]?.sample).toBe(60);
  });

  test.each(['token-classification', 'features', 'sentence-embedding', undefined] as const)(
    'of %s are not single choices',
    (task) => {
      const list = new FlipList({ task }, inputsOf(1));
      list.add(0, logits(1, 0), logits(0, 1));
      expect(list.result()).toBeNull();
    },
  );
});

test('a confusion matrix has labels in rows, answers in columns, and no answers nowhere', () => {
  expect(confusionMatrix([0, 0, 1, 2, 2], [0, 1, 1, 0, -1], 3)).toEqual([
    [1, 1, 0],
    [0, 1, 0],
    [1, 0, 0],
  ]);
});
