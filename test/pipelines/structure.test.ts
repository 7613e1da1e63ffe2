import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { convert } from '../../src/pipelines/convert/convert.ts';
import { inspect } from '../../src/pipelines/inspect/inspect.ts';
import { fixture } from '../models/corpus.ts';
import { countOperators, temporaryFolder } from './written.ts';

const folder = temporaryFolder();

interface Config {
  readonly num_hidden_layers: number;
  readonly num_feedforward_networks: number;
  readonly use_bottleneck: boolean;
  readonly use_bottleneck_attention: boolean;
  readonly key_query_shared_bottleneck: boolean;
  readonly trigram_input: boolean;
  readonly embedding_size: number;
  readonly hidden_size: number;
  readonly hidden_act: string;
}

/** What the written graph of a NoNorm question answering model must hold, from its config alone. */
function expectedCounts(config: Config) {
  const { num_hidden_layers: layers, num_feedforward_networks: networks } = config;
  // One GEMM for what reads the hidden state, one for query and key where these read the shared bottleneck; with
  // use_bottleneck_attention, one for the bottleneck and one for query, key and value behind it.
  const twoInputs = config.use_bottleneck && (config.use_bottleneck_attention || config.key_query_shared_bottleneck);
  const inputs = twoInputs ? 2 : 1;
  const outputBottleneck = config.use_bottleneck ? 1 : 0;
  const perLayer = inputs + 1 + 2 * networks + outputBottleneck;
  const residualsPerLayer = 1 + networks + outputBottleneck;
  const shared = config.key_query_shared_bottleneck && !config.use_bottleneck_attention;
  const normsPerLayer = 1 + networks + (config.use_bottleneck ? 2 + (shared ? 1 : 0) : 0);
  const transformed = config.trigram_input || config.embedding_size !== config.hidden_size;
  return {
    linear: layers * perLayer + (transformed ? 1 : 0) + 1,
    // Position and type embeddings; the mask in each layer; the residuals.
    add: 2 + layers + layers * residualsPerLayer,
    residuals: layers * residualsPerLayer,
    norms: layers * normsPerLayer + 1,
    relu: config.hidden_act === 'relu' ? layers * networks : 0,
    layers,
  };
}

const SWITCHES = [
  'hf-qa',
  'hf-qa-deep',
  'hf-qa-ffn1',
  'hf-qa-ffn2',
  'hf-qa-bottleneckattn',
  'hf-qa-bottleneckattn-shared',
  'hf-qa-kqunshared',
  'hf-qa-nobottleneck',
  'hf-qa-notrigram',
  'hf-qa-noembproj',
  'hf-qa-nonorm-gelu',
];

describe.each(SWITCHES)('%s', (name) => {
  const config: Config = JSON.parse(readFileSync(`${fixture(name)}/config.json`, 'utf8'));
  const wanted = expectedCounts(config);

  test('has no norm left after the passes, and one GEMM where one will do', async () => {
    const before = await inspect({ source: fixture(name) });
    expect(before.summary.ops['noNorm']).toBe(wanted.norms);
    const { ops } = (await inspect({ source: fixture(name), target: 'onnx' })).summary;
    expect(ops['noNorm']).toBeUndefined();
    expect(ops['linear']).toBe(wanted.linear);
    expect(ops['add']).toBe(wanted.add);
    expect(ops['mul']).toBe(1); // the mask
    expect(ops['relu']).toBeUndefined();
  });

  test('is written to ONNX as Gemms that take the residuals as C', async () => {
    const output = join(folder, `${name}.onnx`);
    await convert({ source: fixture(name), output });
    const counts = countOperators(output);
    expect(counts['Gemm']).toBe(wanted.linear);
    expect(counts['MatMul']).toBe(2 * wanted.layers);
    expect(counts['Add'] ?? 0).toBe(wanted.add - wanted.residuals + (counts['Erf'] ?? 0));
    expect(counts['Mul']).toBe(1 + 2 * (counts['Erf'] ?? 0));
    expect(counts['Relu'] ?? 0).toBe(wanted.relu);
    expect(counts['Softmax']).toBe(wanted.layers);
  });

  test('is written to TFLite with the activation in the FULLY_CONNECTED', async () => {
    const output = join(folder, `${name}.tflite`);
    await convert({ source: fixture(name), output });
    const counts = countOperators(output);
    expect((counts['FULLY_CONNECTED'] ?? 0) + (counts['CONV_2D'] ?? 0)).toBe(wanted.linear);
    expect(counts['CONV_2D'] ?? 0).toBe(config.trigram_input ? 1 : 0);
    expect(counts['BATCH_MATMUL']).toBe(2 * wanted.layers);
    expect(counts['ADD']).toBe(wanted.add);
    expect(counts['MUL']).toBe(1);
    expect(counts['RELU']).toBeUndefined();
    expect(counts['SOFTMAX']).toBe(wanted.layers);
  });
});

test('an exposed hidden state is restored by one multiplication and one addition', async () => {
  const { ops } = (await inspect({ source: fixture('hf-features'), target: 'tflite' })).summary;
  expect(ops['noNorm']).toBeUndefined();
  expect(ops['mul']).toBe(1 + 1); // the mask and the restored state
});
