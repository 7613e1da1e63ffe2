import { describe, expect, test } from 'vitest';
import { type DType, type Tensor, tensorOf } from '../../../src/ir/tensor.ts';
import { commonShape, type Running } from '../../../src/pipelines/evaluate/running.ts';
import { compareOutputs } from '../../../src/pipelines/verify/outputs.ts';
import { verify } from '../../../src/pipelines/verify/verify.ts';
import type { TokenRow } from '../../../src/samples/feeds.ts';
import { unpacked } from '../../unpacked.ts';
import { loaderOf, shapeOf } from '../loaded.ts';
import { plainInputs } from './plain-inputs.ts';

describe('files of other tools', () => {
  test('an int8 TFLite file is compared with its float twin, inner values included', async () => {
    const [model, against] = [unpacked('fixtures/tflite-qa-int8'), unpacked('fixtures/tflite-qa-float32')];
    const { layers, outputs, inputs } = await verify({ model, against, samples: 16 });
    expect(inputs?.paddedTo).toBe(32);
    for (const { sqnrDb } of outputs) expect(sqnrDb).toBeGreaterThan(14);
    expect(layers?.compared).toBeGreaterThan(30);
    expect(layers?.layers.map(({ name }) => /layer_\._\d/.exec(name)?.[0])).toEqual(['layer_._0', 'layer_._1']);
    // As far as the outputs are, or the pairs were wrong.
    for (const { sqnrDb } of layers?.layers ?? []) expect(sqnrDb).toBeGreaterThan(14);
  });

  test('what cannot be written as ONNX has outputs only, and says so', async () => {
    const [model, against] = [unpacked('fixtures/tflite-qa-int16x8'), unpacked('fixtures/tflite-qa-float32')];
    const { layers, outputs, warnings } = await verify({ model, against, samples: 8 });
    expect(layers).toBeNull();
    expect(outputs).toHaveLength(2);
    expect(warnings).toEqual([expect.stringMatching(/^inner values are not compared: .* stored as 64-bit integers$/)]);
  });
});

/** A model of any length whose outputs are given; everything else of a session is not looked at. */
function answering(
  path: string,
  outputs: { readonly [name: string]: readonly [readonly number[], ...number[]] },
): Running {
  const infos = (names: readonly string[], dtype: DType) =>
    names.map((name) => ({ name, dtype, shape: ['batch', 'sequence'] }));
  const tensors = new Map(
    Object.entries(outputs).map(([name, [values, ...shape]]): [string, Tensor] => [
      name,
      tensorOf('f32', shape, Float32Array.from(values)),
    ]),
  );
  return {
    path,
    session: {
      inputs: infos(['input_ids', 'attention_mask'], 'i64'),
      outputs: infos(Object.keys(outputs), 'f32'),
      run: async () => tensors,
      close: async () => {},
    },
  };
}

describe('outputs', () => {
  const rows: TokenRow[] = [{ inputIds: [2, 5, 3], tokenTypeIds: [0, 0, 0] }];
  const inputs = plainInputs(rows);
  const compare = (
    model: Running,
    reference: Running,
    task: 'qa' | 'sequence-classification' | 'token-classification' | 'replaced-tokens' | 'pretraining',
  ) =>
    compareOutputs(loaderOf(model), loaderOf(reference), {
      task,
      shape: commonShape([model, reference].map(shapeOf), 4),
      inputs,
      progress: () => {},
    });

  test('padding is left out of spans and of tokens', async () => {
    const spans = (last: number) =>
      answering('m', { start_logits: [[1, 2, 0, last], 1, 4], end_logits: [[1, 2, 0, last], 1, 4] });
    const qa = await compare(spans(9), spans(-9), 'qa');
    expect(qa).toMatchObject({ agreement: 1, outputs: [{ maxAbsError: 0, sqnrDb: null, agreement: 1 }, {}] });
    const classes = (last: number) => answering('m', { logits: [[1, 2, 2, 1, 0, 1, last, 0], 1, 4, 2] });
    const tokens = await compare(classes(9), classes(-9), 'token-classification');
    expect(tokens).toMatchObject({ agreement: 1, outputs: [{ maxAbsError: 0, agreement: 1 }] });
  });

  test('a score for each token is an answer of its own, by its sign', async () => {
    const scores = (...values: number[]) => answering('m', { logits: [values, 1, 4] });
    const { agreement, outputs } = await compare(scores(1, -2, 3, 9), scores(2, 1, 4, -9), 'replaced-tokens');
    expect(agreement).toBeCloseTo(2 / 3, 9);
    expect(outputs).toMatchObject([{ maxAbsError: 3, agreement: 2 / 3 }]);
  });

  test('the order of sentences is an answer besides the words, under the name of BERT and of ALBERT', async () => {
    for (const name of ['seq_relationship_logits', 'sop_logits']) {
      const both = (order: readonly number[]) =>
        answering('m', { prediction_logits: [[1, 2, 2, 1, 0, 1, 0, 0], 1, 4, 2], [name]: [order, 1, 2] });
      expect((await compare(both([1, 0]), both([0, 1]), 'pretraining')).agreement).toBe(0.5);
    }
  });

  test('numbers are those of the values', async () => {
    const logits = (...values: number[]) => answering('m', { logits: [values, 1, 3] });
    const { outputs, agreement } = await compare(logits(3, 0, 3.5), logits(3, 0, 4), 'sequence-classification');
    expect(outputs[0]?.maxAbsError).toBe(0.5);
    expect(outputs[0]?.sqnrDb).toBeCloseTo(10 * Math.log10(25 / 0.25), 9);
    expect(agreement).toBe(1);
  });

  test('NaN is told, as no number', async () => {
    const logits = (...values: number[]) => answering('m', { logits: [values, 1, 2] });
    const { outputs, broken, agreement } = await compare(
      logits(Number.NaN, 1),
      logits(0, 1),
      'sequence-classification',
    );
    expect(broken).toEqual(['logits']);
    expect(outputs).toEqual([
      { name: 'logits', modelName: 'logits', maxAbsError: null, sqnrDb: -200, agreement: 0, choices: 'largest' },
    ]);
    expect(agreement).toBe(0);
  });

  test('without a common name outputs are taken in order', async () => {
    const { outputs } = await compare(
      answering('m', { 'Identity:0': [[1, 2], 1, 2] }),
      answering('r', { logits: [[1, 2], 1, 2] }),
      'sequence-classification',
    );
    expect(outputs).toMatchObject([{ name: 'logits', modelName: 'Identity:0', sqnrDb: null }]);
  });
});
