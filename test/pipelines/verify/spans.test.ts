import { describe, expect, test } from 'vitest';
import { tensorOf } from '../../../src/ir/tensor.ts';
import type { Span } from '../../../src/metrics/task-metrics.ts';
import { commonShape, type Running } from '../../../src/pipelines/evaluate/running.ts';
import { compareOutputs } from '../../../src/pipelines/verify/outputs.ts';
import { loaderOf, shapeOf } from '../loaded.ts';
import { plainInputs } from './plain-inputs.ts';

/** A model of five tokens whose logits are given. */
function answering(start: readonly number[], end: readonly number[]): Running {
  const logits = (values: readonly number[]) => tensorOf('f32', [1, 6], Float32Array.from([...values, 99]));
  return {
    path: 'm',
    session: {
      inputs: [{ name: 'input_ids', dtype: 'i64', shape: [1, 6] }],
      outputs: ['start_logits', 'end_logits'].map((name) => ({ name, dtype: 'f32', shape: [1, 6] })),
      run: async () =>
        new Map([
          ['start_logits', logits(start)],
          ['end_logits', logits(end)],
        ]),
      close: async () => {},
    },
  };
}

/** How well the span is found in [CLS] a [SEP] b [SEP], or without token types. */
async function matches(model: Running, span: Span, types: readonly number[], others: readonly Span[] = []) {
  const row = { inputIds: [2, 5, 3, 6, 3], tokenTypeIds: types };
  const labels = { kind: 'spans', values: [span, ...others] } as const;
  const rows = [span, ...others].map(() => row);
  const inputs = plainInputs(rows, { labels });
  const shape = commonShape([shapeOf(model)], undefined);
  const { metrics } = await compareOutputs(loaderOf(model), undefined, {
    task: 'qa',
    shape,
    inputs,
    progress: () => {},
  });
  return metrics?.model.exactMatch;
}

const PAIR = [0, 0, 0, 1, 1];
const ALONE = [0, 0, 0, 0, 0];

describe('the answer to a question is looked for', () => {
  test('in the second text, not in the question', async () => {
    const model = answering([0, 9, 0, 1, 0], [0, 9, 0, 1, 0]);
    expect(await matches(model, [3, 3], PAIR)).toBe(1);
  });

  test('before the last [SEP], and never in padding', async () => {
    const model = answering([0, 0, 0, 1, 9], [0, 0, 0, 1, 9]);
    expect(await matches(model, [3, 3], PAIR)).toBe(1);
  });

  test('behind [CLS] where a model knows no second text', async () => {
    const model = answering([9, 2, 0, 1, 0], [9, 2, 0, 1, 0]);
    expect(await matches(model, [1, 1], ALONE)).toBe(1);
  });

  test('at [CLS] where some questions have none', async () => {
    const model = answering([9, 2, 0, 1, 0], [9, 2, 0, 1, 0]);
    expect(await matches(model, [0, 0], PAIR)).toBe(1);
    // One of two questions has an answer, which is not found.
    expect(await matches(model, [3, 3], PAIR, [[0, 0]])).toBe(0.5);
  });
});
