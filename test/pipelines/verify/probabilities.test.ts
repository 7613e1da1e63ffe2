import { describe, expect, test } from 'vitest';
import type { Graph } from '../../../src/ir/graph.ts';
import { tensorOf } from '../../../src/ir/tensor.ts';
import type { LogitsKind } from '../../../src/models/index.ts';
import { commonShape, type Running } from '../../../src/pipelines/evaluate/running.ts';
import { compareOutputs } from '../../../src/pipelines/verify/outputs.ts';
import { ViewSums } from '../../../src/pipelines/verify/views.ts';
import { graphOf } from '../../core.ts';
import { loaderOf, shapeOf } from '../loaded.ts';
import { plainInputs } from './plain-inputs.ts';

/** A classifier with one output of this name and these values. */
function classifier(name: 'logits' | 'probability' | 'output', values: readonly number[]): Running {
  const shape = ['batch', 'sequence'];
  return {
    path: name,
    session: {
      inputs: ['input_ids', 'attention_mask'].map((input) => ({ name: input, dtype: 'i64', shape })),
      outputs: [{ name, dtype: 'f32', shape: ['batch', values.length] }],
      run: async () => new Map([[name, tensorOf('f32', [1, values.length], Float32Array.from(values))]]),
      close: async () => {},
    },
  };
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** The model beside the reference, and the distance of their answers. */
async function compared(
  model: Running,
  reference: Running,
  logitsKind?: LogitsKind,
  graphs?: { readonly model: Graph; readonly reference: Graph },
) {
  const reading = { task: 'sequence-classification', logitsKind } as const;
  const inputs = plainInputs([{ inputIds: [2, 9, 3], tokenTypeIds: [0, 0, 0] }]);
  const sums = new ViewSums('full', reading, inputs);
  const { outputs, agreement, flips } = await compareOutputs(loaderOf(model), loaderOf(reference), {
    ...reading,
    graphs,
    shape: commonShape([model, reference].map(shapeOf), undefined),
    inputs,
    heard: (i, expected, actual) => sums.add(i, expected, actual),
    progress: () => {},
  });
  const [{ name, modelName, maxAbsError, agreement: ofOutput } = {}] = outputs;
  return {
    output: [name, modelName],
    maxAbsError,
    agreements: [agreement, ofOutput],
    changed: flips?.count,
    distance: sums.result().meanDistance,
  };
}

describe('a file of probabilities and its source of logits', () => {
  const softened = classifier('probability', [0.2, 0.5, 0.3]);
  const logits = classifier(
    'logits',
    [0.2, 0.5, 0.3].map((p) => Math.log(p) + 4),
  );
  const labels = [3, -1, -2];
  const applying = classifier('probability', labels.map(sigmoid));
  const decided = classifier('logits', labels);
  const same = {
    output: ['probability', 'probability'],
    maxAbsError: expect.closeTo(0, 6),
    agreements: [1, 1],
    changed: 0,
    distance: expect.closeTo(0, 6),
  };

  test('of classes are equal', async () => {
    expect(await compared(softened, logits)).toEqual(same);
    expect(await compared(logits, softened)).toEqual(same);
  });

  test('of labels, any number of which apply, are equal', async () => {
    expect(await compared(applying, decided, 'multi-label')).toEqual(same);
    expect(await compared(decided, applying, 'multi-label')).toEqual(same);
  });

  test('differ by the probability that moved', async () => {
    const other = classifier('probability', [0.6, 0.3, 0.1]);
    const moved = { maxAbsError: expect.closeTo(0.4, 6), changed: 1, distance: expect.closeTo(0.4, 6) };
    expect(await compared(other, logits)).toMatchObject({ ...moved, agreements: [0, 0] });
    expect(await compared(other, softened)).toMatchObject({ ...moved, agreements: [0, 0] });
  });

  test('of labels that apply in one alone do not agree, also where both give probabilities', async () => {
    const other = classifier('probability', [0.4, 0.1, 0.6]);
    for (const reference of [applying, decided]) {
      const { agreements, changed } = await compared(other, reference, 'multi-label');
      expect(agreements).toEqual([1 / 3, 1 / 3]);
      expect(changed).toBe(1);
    }
  });
});

describe('graphs of other tools that make probabilities, whatever the name of their output', () => {
  const ending = (op: string) => graphOf(`graph g (x: f32[1, 3])\n  y = ${op}(x)\nreturn output: y`);
  const shares = [0.2, 0.5, 0.3];
  const moved = [0.6, 0.3, 0.1];

  test.each([
    ['softmax', undefined, 0.4],
    ['sigmoid', 'multi-label', (0.4 + 0.2 + 0.2) / 3],
  ] as const)('%s', async (op, logitsKind, distance) => {
    const graphs = { model: ending(op), reference: ending(op) };
    const result = await compared(classifier('output', moved), classifier('output', shares), logitsKind, graphs);
    expect(result.distance).toBeCloseTo(distance, 6);
  });

  test('beside a source of logits', async () => {
    const source = classifier(
      'output',
      shares.map((p) => Math.log(p) + 4),
    );
    const graphs = { model: ending('softmax'), reference: ending('relu') };
    expect((await compared(classifier('output', shares), source, undefined, graphs)).distance).toBeCloseTo(0, 6);
  });
});
