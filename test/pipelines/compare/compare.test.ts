import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compare } from '../../../src/pipelines/compare/compare.ts';
import { convert } from '../../../src/pipelines/convert/convert.ts';
import { temporaryFolder } from '../written.ts';

const SOURCE = 'fixtures/bert-seqcls';
const folder = temporaryFolder();
const path = (name: string) => join(folder, name);

describe('models of open and of fixed length', () => {
  beforeAll(async () => {
    await convert({ source: SOURCE, output: path('open.onnx') });
    await convert({ source: SOURCE, output: path('16.onnx'), sequenceLength: 16 });
    await convert({ source: SOURCE, output: path('24.onnx'), sequenceLength: 24 });
  }, 60_000);
  const compared = (names: readonly string[], sequenceLength?: number) =>
    compare({ models: names.map(path), against: SOURCE, samples: 4, runs: 1, sequenceLength });

  test('answer the same inputs, padded to the length that is fixed', async () => {
    const { inputs, warnings } = await compared(['open.onnx', '16.onnx']);
    expect(inputs?.paddedTo).toBe(16);
    expect(warnings).toEqual([]);
  });

  test('answer unpadded where none is fixed, or at the length that is asked for', async () => {
    expect((await compared(['open.onnx'])).inputs?.paddedTo).toBeNull();
    expect((await compared(['open.onnx'], 20)).inputs?.paddedTo).toBe(20);
  });

  test('are told of where their lengths differ', async () => {
    const { warnings } = await compared(['16.onnx', '24.onnx']);
    expect(warnings).toContainEqual(
      expect.stringMatching(/^models are fixed to 16 and 24 tokens: .* of other inputs$/),
    );
  });
});
