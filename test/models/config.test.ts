import { describe, expect, test } from 'vitest';
import type { JsonValue } from '../../src/formats/json.ts';
import { buildModel } from '../../src/models/index.ts';
import { changed, openCheckpoint, zeros } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

async function problemsOf(name: string, config: Readonly<Record<string, JsonValue | undefined>>): Promise<string> {
  const checkpoint = await openCheckpoint(name);
  try {
    buildModel(changed(checkpoint, {}, config), DYNAMIC);
    return '';
  } catch (error) {
    return (error as Error).message.replaceAll(`fixtures/${name}/`, '');
  } finally {
    checkpoint.close();
  }
}

describe('config.json is refused', () => {
  test.each<[key: string, value: JsonValue, problem: string]>([
    ['hidden_size', 0, 'hidden_size: must be a positive integer, got 0'],
    ['hidden_size', 64.5, 'hidden_size: must be a positive integer, got 64.5'],
    ['hidden_size', null, 'hidden_size: must be a positive integer, got null'],
    ['hidden_size', true, 'hidden_size: must be a positive integer, got true'],
    ['hidden_size', [64], 'hidden_size: must be a positive integer, got an array'],
    ['vocab_size', 1e10, 'vocab_size: must be a positive integer up to 2147483647, got 10000000000'],
    ['vocab_size', Number.POSITIVE_INFINITY, 'vocab_size: must be a positive integer up to 2147483647, got Infinity'],
    ['embedding_size', 65, 'embedding_size: 65 is more than hidden_size 64'],
    ['num_attention_heads', 1e9, 'num_attention_heads: intra_bottleneck_size 32 is not divisible by 1000000000 heads'],
    ['layer_norm_eps', 0, 'layer_norm_eps: must be a positive number, got 0'],
    ['layer_norm_eps', '1e-12', 'layer_norm_eps: must be a positive number, got "1e-12"'],
    ['trigram_input', 'true', 'trigram_input: must be true or false, got "true"'],
    ['use_bottleneck', 1, 'use_bottleneck: must be true or false, got 1'],
    ['hidden_act', 'constructor', 'hidden_act: "constructor" is not supported; supported: relu, gelu'],
    ['hidden_act', ['relu'], 'hidden_act: an array is not supported; supported: relu, gelu'],
  ])('for %s %j', async (key, value, problem) => {
    expect(await problemsOf('hf-qa', { [key]: value })).toContain(`config.json: ${problem}`);
  });

  test('with all of its problems at once, a line each', async () => {
    const config = { hidden_size: -1, hidden_act: 'swiglu', trigram_input: 'yes' };
    expect((await problemsOf('hf-qa', config)).split('\n')).toEqual([
      'config.json: hidden_size: must be a positive integer, got -1',
      expect.stringMatching(/^config\.json: hidden_act: "swiglu" is not supported; supported: relu, /),
      'config.json: trigram_input: must be true or false, got "yes"',
    ]);
  });

  test.each<[key: string, value: JsonValue, problem: string]>([
    [
      'vocab_size',
      999,
      'vocab_size: is 999, but mobilebert.embeddings.word_embeddings.weight has 1000 rows [1000, 32]',
    ],
    [
      'embedding_size',
      16,
      'embedding_size: is 16, but mobilebert.embeddings.word_embeddings.weight has 32 columns [1000, 32]',
    ],
    [
      'max_position_embeddings',
      512,
      'max_position_embeddings: is 512, but mobilebert.embeddings.position_embeddings.weight',
    ],
    ['type_vocab_size', 1, 'type_vocab_size: is 1, but mobilebert.embeddings.token_type_embeddings.weight has 2 rows'],
    [
      'intermediate_size',
      64,
      'intermediate_size: is 64, but mobilebert.encoder.layer.0.intermediate.dense.bias has 48 values',
    ],
    [
      'intra_bottleneck_size',
      64,
      'intra_bottleneck_size: is 64, but mobilebert.encoder.layer.0.bottleneck.input.dense.bias',
    ],
    ['num_hidden_layers', 1, 'num_hidden_layers: is 1, but model.safetensors holds 3 encoder layers'],
    [
      'num_feedforward_networks',
      1,
      'num_feedforward_networks: is 1, but model.safetensors holds 4 feed-forward networks of encoder layer 0',
    ],
  ])('where the weights contradict %s %j', async (key, value, problem) => {
    expect(await problemsOf('hf-qa', { [key]: value })).toContain(`config.json: ${problem}`);
  });

  test.each<[name: string, key: string, value: JsonValue, problem: string]>([
    ['bert-seqcls', 'num_attention_heads', 5, 'num_attention_heads: hidden_size 48 is not divisible by 5 heads'],
    [
      'bert-seqcls',
      'position_embedding_type',
      'rotary',
      'position_embedding_type: "rotary" is not supported; supported: absolute, relative_key, relative_key_query',
    ],
    ['bert-seqcls', 'is_decoder', true, 'is_decoder: true is not supported'],
    ['bert-seqcls', 'num_hidden_layers', 1, 'num_hidden_layers: is 1, but model.safetensors holds 2 encoder layers'],
    ['distilbert-qa', 'n_heads', 7, 'n_heads: dim 48 is not divisible by 7 heads'],
    ['distilbert-qa', 'n_layers', 1, 'n_layers: is 1, but model.safetensors holds 2 encoder layers'],
  ])('%s: %s %j', async (name, key, value, problem) => {
    expect(await problemsOf(name, { [key]: value })).toContain(`config.json: ${problem}`);
  });
});

describe('an absent key', () => {
  test.each([
    'key_query_shared_bottleneck',
    'hidden_act',
    'normalization_type',
    'layer_norm_eps',
    'type_vocab_size',
    'num_attention_heads',
    'num_feedforward_networks',
  ])('takes the default of transformers: %s', async (key) => {
    expect(await problemsOf('hf-qa', { [key]: undefined })).toBe('');
  });

  test('is named where the weights contradict the default', async () => {
    expect(await problemsOf('hf-qa-ffn2', { num_feedforward_networks: undefined })).toBe(
      'config.json: num_feedforward_networks: is absent, and its default 4 contradicts the weights: model.safetensors holds 2 feed-forward networks of encoder layer 0',
    );
  });
});

describe('missing blocks are said in one line', () => {
  const LAYER = /^mobilebert\.encoder\.layer\.(\d+)\./;

  test.each([
    [[1], 12, 'encoder layers 1 and 11 are missing (config says 12 encoder layers)'],
    [[0, 2, 3, 4], 11, 'encoder layers 0 and 2 to 4 are missing (config says 11 encoder layers)'],
    [[10], 11, 'encoder layer 10 are missing (config says 11 encoder layers)'],
  ])('layers %o of %i', async (dropped, layers, problem) => {
    const checkpoint = await openCheckpoint('hf-qa-deep');
    const gone = [...checkpoint.tensors.keys()].filter((name) => dropped.includes(Number(LAYER.exec(name)?.[1])));
    const weights = Object.fromEntries(gone.map((name) => [name, undefined]));
    expect(() => buildModel(changed(checkpoint, weights, { num_hidden_layers: layers }), DYNAMIC)).toThrow(
      `fixtures/hf-qa-deep/model.safetensors: all weights of ${problem}`,
    );
    checkpoint.close();
  });

  test('a feed-forward network of one layer', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    const gone = [...checkpoint.tensors.keys()].filter((name) => name.includes('layer.2.ffn.1.'));
    const weights = Object.fromEntries(gone.map((name) => [name, undefined]));
    expect(() => buildModel(changed(checkpoint, weights), DYNAMIC)).toThrow(
      'all weights of feed-forward network 1 of encoder layer 2 are missing (config says 4 feed-forward networks)',
    );
    checkpoint.close();
  });

  test('a stray under the number of a layer is no layer', async () => {
    const checkpoint = await openCheckpoint('hf-qa');
    const stray = { 'mobilebert.encoder.layer.7.adapter.weight': zeros([2]) };
    expect(buildModel(changed(checkpoint, stray), DYNAMIC).warnings).toHaveLength(1);
    checkpoint.close();
  });
});
