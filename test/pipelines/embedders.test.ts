import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { lintFile } from '../../src/lint/lint-file.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { verify } from '../../src/pipelines/verify/verify.ts';
import { runtimeFor } from '../../src/runtimes/index.ts';
import { EMBEDDERS, fixture, readArray, readManifest } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** A fixture's file in its runtime, on the fixture's inputs. */
async function runWritten(name: string, target: 'onnx' | 'tflite', outputs?: readonly string[]) {
  const { inputs } = readManifest(name);
  const [batch, sequenceLength] = readArray(name, inputs['input_ids']?.file ?? '').shape;
  const shape = target === 'onnx' ? { batch: 'dynamic' as const } : { batch, sequenceLength };
  const output = join(folder, `${name}.${target}`);
  const { warnings } = await convert({ source: unpacked(fixture(name)), output, outputs, ...shape });
  const session = await runtimeFor(output).load(output, { threads: 1 });
  const feeds = new Map(session.inputs.map((input) => [input.name, readArray(name, inputs[input.name]?.file ?? '')]));
  const found = await session.run(feeds);
  await session.close();
  return { found, warnings, output };
}

function expectOracle(name: string, found: ReadonlyMap<string, Tensor>): void {
  const { expected, tolerance } = readManifest(name);
  for (const [output, tensor] of found) {
    const oracle = expected[output];
    if (oracle === undefined) continue;
    const wanted = readF32(readArray(name, oracle.file));
    const values = readF32(tensor);
    const error = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - (values[i] as number))), 0);
    expect(error, output).toBeLessThan(tolerance[output]?.atol ?? 0);
  }
}

describe.each(['onnx', 'tflite'] as const)('%s gives what sentence-transformers gives', (target) => {
  test.each(EMBEDDERS)('%s', async (name) => {
    const { found, warnings } = await runWritten(name, target);
    const isRanker = name.endsWith('crossencoder');
    const alone = isRanker ? 'score' : 'sentence_embedding';
    const beside = name.endsWith('splade') ? [] : [isRanker ? 'logits' : 'last_hidden_state'];
    expect([...found.keys()]).toEqual(target === 'tflite' ? [alone] : [...beside, alone]);
    expectOracle(name, found);
    expect(warnings).toEqual([]);
  });
});

test('a file has the outputs that were asked for', async () => {
  const wanted = ['sentence_embedding', 'last_hidden_state'];
  const { found } = await runWritten('family-st-mean-norm', 'tflite', wanted);
  expect([...found.keys()]).toEqual(wanted);
});

test.each(['family-st-mean-norm', 'family-st-max', 'family-st-splade'])(
  'XNNPACK runs %s in one piece, pooling and norm included',
  async (name) => {
    const { output } = await runWritten(name, 'tflite');
    expect(lintFile(output).findings).toEqual([]);
  },
);

test('an encoder alone is not taken for an embedder: its hidden states are compared, and a warning says so', async () => {
  const source = unpacked(fixture('family-st-mean-norm'));
  const model = join(folder, 'encoder.onnx');
  await convert({ source, output: model, outputs: ['last_hidden_state'] });
  const { embeddings, outputs, agreement, warnings } = await verify({ model, against: source, samples: 8 });
  expect(embeddings).toBeUndefined();
  expect(outputs.map(({ name }) => name)).toEqual(['last_hidden_state']);
  expect(agreement).toBeGreaterThan(0.9999);
  expect(warnings).toEqual([`only ${source} has the output sentence_embedding: answers are compared without it`]);
});
