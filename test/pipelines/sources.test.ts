import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readF32, type Tensor } from '../../src/ir/tensor.ts';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { runtimeFor } from '../../src/runtimes/index.ts';
import type { RuntimeSession } from '../../src/runtimes/runtime.ts';
import { ONNX_FIXTURES, unpack } from '../importers/onnx/fixtures.ts';
import { CASES, modelPath } from '../importers/tensorflow/cases.ts';
import { fixture, type Manifest, readArray, readManifest } from '../models/corpus.ts';
import { unpacked } from '../unpacked.ts';
import { temporaryFolder } from './written.ts';

const folder = temporaryFolder();

/** Weights of PyTorch, Keras and TensorFlow 1; those in safetensors are in corpus.test.ts. */
const WEIGHTS = readdirSync('fixtures').filter(
  (name) =>
    existsSync(`${fixture(name)}/inputs`) &&
    readdirSync(fixture(name)).some((file) => /^pytorch_model.*\.bin$|\.h5(\.gz)?$|\.ckpt.*\.index$/.test(file)),
);

interface SourceCase {
  readonly name: string;
  readonly path: () => string;
}
const SOURCES: readonly SourceCase[] = [
  ...WEIGHTS.map((name) => ({ name, path: () => unpacked(fixture(name)) })),
  ...ONNX_FIXTURES.map((name) => ({ name, path: () => unpack(name) })),
  ...CASES.map((name) => ({ name, path: () => modelPath(name) })),
];

/** google-research's BERT computes GELU by tanh; the fixture holds what torch computes by erf as well. */
const ORACLES: { readonly [name: string]: { readonly [output: string]: string } } = {
  'tf1-googlebert-seqcls': { logits: 'logits_tanh' },
};

/** A file whose maker's own runtimes disagree on it. */
const REFUSALS: { readonly [nameAndTarget: string]: string } = {
  'tflite-qa-int16x8 onnx': 'activations of 16 bits differ from runtime to runtime',
  'tflite-qa-int16x8 tflite': 'activations of 16 bits differ from runtime to runtime',
};

/** TensorFlow's converters name outputs so, in the order of the alphabet. */
const IDENTITIES: { readonly [output: string]: string } = {
  Identity: 'end_logits',
  'Identity:0': 'end_logits',
  Identity_1: 'start_logits',
  'Identity_1:0': 'start_logits',
};

/** google-research's names for what transformers calls attention_mask and token_type_ids. */
const GOOGLE_NAMES: { readonly [input: string]: string } = {
  attention_mask: 'input_mask',
  token_type_ids: 'segment_ids',
};

function inputArray(name: string, { inputs }: Manifest, input: string): Tensor {
  const plain = input.replace(/:0$/, '');
  const key = Object.keys(inputs).find((each) => plain.endsWith(each)) ?? GOOGLE_NAMES[plain] ?? plain;
  return readArray(name, inputs[key]?.file ?? '');
}

/** One row of a batch, as [1, ...]. */
function rowOf(tensor: Tensor, row: number): Tensor {
  const bytes = tensor.bytes();
  const size = bytes.byteLength / (tensor.shape[0] as number);
  return { ...tensor, shape: [1, ...tensor.shape.slice(1)], bytes: () => bytes.subarray(row * size, (row + 1) * size) };
}

/** All outputs over the fixture's batch, which runs row by row where the file is fixed to one. */
async function runAll(session: RuntimeSession, name: string, manifest: Manifest): Promise<Map<string, number[]>> {
  const feeds = new Map(session.inputs.map((input) => [input.name, inputArray(name, manifest, input.name)]));
  const batch = [...feeds.values()][0]?.shape[0] ?? 1;
  const fixed = session.inputs[0]?.shape[0];
  const isSplit = typeof fixed === 'number' && fixed > 0 && fixed !== batch;
  const runs = isSplit
    ? Array.from({ length: batch }, (_, row) => new Map([...feeds].map(([key, feed]) => [key, rowOf(feed, row)])))
    : [feeds];
  const outputs = new Map<string, number[]>();
  for (const run of runs) {
    for (const [key, tensor] of await session.run(run)) {
      outputs.set(key, [...(outputs.get(key) ?? []), ...readF32(tensor)]);
    }
  }
  return outputs;
}

/** LiteRT's WebAssembly build takes fixed shapes: those of the fixture. A graph that is fixed already stays as it is. */
function shapesFor(target: 'onnx' | 'tflite', name: string, manifest: Manifest, isGraph: boolean) {
  if (target === 'onnx') return isGraph ? {} : { batch: 'dynamic' as const };
  const [, ids] = Object.entries(manifest.inputs).find(([key]) => key.includes('input_ids')) ?? [];
  const { shape } = readArray(name, ids?.file ?? '');
  return isGraph ? { sequenceLength: shape.at(-1) } : { batch: shape[0], sequenceLength: shape.at(-1) };
}

describe.each(['onnx', 'tflite'] as const)(
  'written as %s, it computes what the source framework computes',
  (target) => {
    test.each(SOURCES)('$name', async ({ name, path }) => {
      const manifest = readManifest(name);
      const isGraph = !WEIGHTS.includes(name);
      const output = join(folder, `${name}.${target}`);
      const options = { source: path(), output };
      const refusal = REFUSALS[`${name} ${target}`];
      if (refusal !== undefined) {
        await expect(convert(options)).rejects.toThrow(refusal);
        return;
      }
      await convert({ ...options, ...shapesFor(target, name, manifest, isGraph) });
      const session = await runtimeFor(output).load(output, { threads: 1 });
      const outputs = await runAll(session, name, manifest);
      await session.close();
      const named = [...outputs].map(
        ([key, values]) => [key, ORACLES[name]?.[key] ?? IDENTITIES[key] ?? key, values] as const,
      );
      // Sentence-transformers has tokens beside the embedding, which the oracle leaves out.
      const judged = named.filter(([, oracleName]) => manifest.expected[oracleName] !== undefined);
      expect(judged.length).toBeGreaterThan(0);
      for (const [key, oracleName, values] of judged) {
        const oracle = readF32(readArray(name, manifest.expected[oracleName]?.file ?? ''));
        let worst = 0;
        oracle.forEach((value, i) => {
          worst = Math.max(worst, Math.abs(value - (values[i] ?? Number.NaN)));
        });
        expect(worst, key).toBeLessThanOrEqual(manifest.tolerance[oracleName]?.atol ?? 0);
      }
    });
  },
);
