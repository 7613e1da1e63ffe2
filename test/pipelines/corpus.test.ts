import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { sqnr } from '../../src/metrics/metrics.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { runtimeFor } from '../../src/runtimes/index.ts';
import { CHECKPOINTS, comparedElements, fixture, readArray, readManifest } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** Converts a fixture, runs the written file on the fixture's inputs and returns both sides, output by output. */
async function runWritten(name: string, target: 'onnx' | 'tflite', dtype: 'f32' | 'f16') {
  const { inputs, expected } = readManifest(name);
  const ids = readArray(name, inputs['input_ids']?.file ?? '');
  const [batch, choices] = ids.shape as readonly [number, number];
  // ONNX stays dynamic, so that one file is tried at a length it was not made for; LiteRT's WebAssembly build takes fixed shapes.
  const shapes =
    target === 'onnx'
      ? { batch: 'dynamic' as const }
      : { batch, sequenceLength: ids.shape.at(-1), choices: ids.shape.length === 3 ? choices : undefined };
  const output = join(folder, `${name}.${dtype}.${target}`);
  const { results } = await convert({ source: unpacked(fixture(name)), output, dtype, ...shapes });
  const session = await runtimeFor(output).load(output, { threads: 1 });
  const feeds = new Map(session.inputs.map((input) => [input.name, readArray(name, inputs[input.name]?.file ?? '')]));
  const outputs = await session.run(feeds);
  await session.close();
  const wanted = Object.keys(expected).filter((key) => key !== 'hidden_states' && key !== 'attentions');
  expect([...outputs.keys()].sort()).toEqual(wanted.sort());
  expect(results[0]?.passes.find((pass) => pass.name === 'fold-no-norm')?.declined).toEqual([]);
  return wanted.map((key) => {
    const stored = readArray(name, expected[key]?.file ?? '');
    const isCompared = comparedElements(name, stored.shape);
    const compared = (values: Float32Array) => values.filter((_, i) => isCompared(i));
    const oracle = readF32(stored);
    // Large outputs are stored for the first batch rows only.
    const values = readF32(outputs.get(key) as Tensor).subarray(0, oracle.length);
    return { key, oracle: compared(oracle), values: compared(values) };
  });
}

function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

describe.each(['onnx', 'tflite'] as const)('%s computes what the source framework computes', (target) => {
  test.each(CHECKPOINTS)('%s', async (name) => {
    const { tolerance } = readManifest(name);
    for (const { key, oracle, values } of await runWritten(name, target, 'f32')) {
      const limit = Math.min(tolerance[key]?.atol ?? 0, Math.max(1e-4, 5e-5 * largest(oracle)));
      expect(largest(oracle.map((value, i) => value - (values[i] as number))), key).toBeLessThan(limit);
    }
  });

  // Half precision keeps 11 bits of each weight: 66 dB for one product, a few dB less behind some layers.
  test.each(['hf-qa', 'hf-seqcls', 'hf-qa-layernorm-gelu', 'hf-mlm-tied', 'bert-seqcls'])(
    '%s with f16 weights',
    async (name) => {
      for (const { key, oracle, values } of await runWritten(name, target, 'f16')) {
        expect(sqnr(oracle, values), key).toBeGreaterThan(55);
      }
    },
  );
});
