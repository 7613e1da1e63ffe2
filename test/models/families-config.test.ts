import { describe, expect, onTestFinished, test } from 'vitest';
import type { Checkpoint } from '../../src/formats/checkpoint.ts';
import type { JsonValue } from '../../src/formats/json.ts';
import { type Tensor, tensorOf } from '../../src/ir/tensor.ts';
import { graphText } from '../../src/ir/text.ts';
import { buildModel, describeModel } from '../../src/models/index.ts';
import { changed, openCheckpoint } from './corpus.ts';

const DYNAMIC = { batch: 'batch', sequenceLength: 'sequence', indexType: 'i64' } as const;

type Config = Readonly<Record<string, JsonValue | undefined>>;

async function open(name: string, config: Config = {}): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(name);
  onTestFinished(() => checkpoint.close());
  return changed(checkpoint, {}, config);
}

function built(checkpoint: Checkpoint): string {
  return graphText(buildModel(checkpoint, DYNAMIC).graph);
}

/** What a config says of the rotation, as JSON objects are read. */
const rope = (entries: Record<string, JsonValue>): JsonValue => new Map(Object.entries(entries));

describe('a switch that is not honoured is refused by name', () => {
  test.each<[name: string, key: string, value: JsonValue, problem: string]>([
    ['family-deberta-v1-seqcls', 'talking_head', true, 'talking_head: true is not supported'],
    [
      'family-deberta-v1-seqcls',
      'pos_att_type',
      'c2p|p2p',
      'pos_att_type: "p2p" is not supported; supported: c2p, p2c',
    ],
    ['family-deberta-v1-seqcls', 'pos_att_type', 3, 'pos_att_type: must be a list of words, got 3'],
    ['family-deberta-v1-seqcls', 'pooler_hidden_size', 16, 'pooler_hidden_size: 16 is not supported'],
    ['family-deberta-v2-conv', 'attention_head_size', 16, 'attention_head_size: 16 is not supported'],
    ['family-deberta-v2-conv', 'conv_groups', 2, 'conv_groups: 2 is not supported'],
    ['family-deberta-v2-conv', 'conv_kernel_size', 4, 'conv_kernel_size: 4 is even'],
    ['family-deberta-v2-conv', 'position_buckets', 1, 'position_buckets: 1 buckets do not divide distances up to 64'],
    ['family-deberta-v2-conv', 'max_relative_positions', 5, 'position_buckets: 8 buckets do not divide'],
    [
      'family-deberta-v2-conv',
      'max_position_embeddings',
      2 ** 31 - 1,
      'max_position_embeddings: 2147483647 is over 131072',
    ],
    ['family-modernbert-seqcls', 'max_position_embeddings', 2 ** 20, 'max_position_embeddings: 1048576 is over 131072'],
    ['family-bert-relkey', 'max_position_embeddings', 2 ** 20, 'max_position_embeddings: 1048576 is over 131072'],
    ['family-nomicbert-base', 'n_positions', 2 ** 20, 'n_positions: 1048576 is over 131072'],
    ['family-deberta-v2-conv', 'position_buckets', 2.5, 'position_buckets: must be an integer, got 2.5'],
    [
      'family-deberta-v2-conv',
      'num_attention_heads',
      3,
      'num_attention_heads: hidden_size 16 is not divisible by 3 heads',
    ],
    ['family-modernbert-seqcls', 'classifier_pooling', 'max', 'classifier_pooling: "max" is not supported'],
    [
      'family-modernbert-seqcls',
      'layer_types',
      ['full_attention', 'causal', 'full_attention'],
      'layer_types: "causal"',
    ],
    ['family-modernbert-seqcls', 'layer_types', ['full_attention'], 'layer_types: names 1 layers of 3'],
    ['family-modernbert-seqcls', 'num_attention_heads', 32, 'heads of 1 channels cannot be turned in pairs'],
    ['family-modernbert-seqcls', 'rope_scaling', rope({ factor: 2 }), 'rope_scaling: an object is not supported'],
    [
      'family-modernbert-seqcls',
      'rope_parameters',
      rope({ full_attention: rope({ rope_type: 'yarn' }) }),
      'rope_parameters.full_attention.rope_type: "yarn" is not supported',
    ],
    ['family-modernbert-seqcls', 'rope_parameters', 'default', 'rope_parameters: must be an object, got "default"'],
    ['family-gte-base', 'rope_parameters', rope({ rope_type: 'linear' }), 'rope_parameters.rope_type: "linear"'],
    ['family-gte-base', 'rope_parameters', rope({ partial_rotary_factor: 0.5 }), 'partial_rotary_factor: 0.5'],
    [
      'family-gte-base',
      'rope_parameters',
      rope({ rope_theta: 0 }),
      'rope_parameters.rope_theta: must be a positive number',
    ],
    ['family-gte-base', 'head_dim', 7, 'head_dim: heads of 7 channels cannot be turned in pairs'],
    ['family-nomicbert-base', 'rotary_emb_fraction', 0.5, 'rotary_emb_fraction: 0.5 is not supported'],
    ['family-nomicbert-base', 'prenorm', true, 'prenorm: true is not supported'],
    ['family-nomicbert-base', 'rotary_scaling_factor', 2, 'rotary_scaling_factor: 2 is not supported'],
    ['family-roformer-seqcls', 'is_decoder', true, 'is_decoder: true is not supported'],
    ['family-roformer-seqcls', 'num_attention_heads', 32, 'heads of 1 channels cannot be turned in pairs'],
    ['family-roformer-mc', 'summary_type', 'first', 'summary_type: "first" is not supported'],
    ['family-bert-relkey', 'position_embedding_type', 'rotary', 'position_embedding_type: "rotary" is not supported'],
  ])('%s: %s %j', async (name, key, value, problem) => {
    const checkpoint = await open(name, { [key]: value });
    expect(() => built(checkpoint)).toThrow(problem);
  });

  test.each<[name: string, key: string, value: number, problem: string]>([
    [
      'family-deberta-v2-seqcls',
      'embedding_size',
      16,
      'embedding_size: is 16, but deberta.embeddings.word_embeddings.weight has 32 columns',
    ],
    [
      'family-deberta-v1-mlm',
      'type_vocab_size',
      3,
      'type_vocab_size: is 3, but deberta.embeddings.token_type_embeddings.weight has 2 rows',
    ],
    ['family-deberta-v2-seqcls', 'num_hidden_layers', 1, 'model.safetensors holds 2 encoder layers'],
    [
      'family-deberta-v2-seqcls',
      'position_buckets',
      9,
      'deberta.encoder.rel_embeddings.weight: has shape [16, 32], the config implies [18, 32]',
    ],
    [
      'family-modernbert-seqcls',
      'intermediate_size',
      24,
      'intermediate_size: is 24, but model.layers.0.mlp.Wo.weight has 48 columns',
    ],
    ['family-modernbert-base', 'num_hidden_layers', 4, 'all weights of layer 3 are missing (config says 4 layers)'],
    ['family-nomicbert-base', 'num_hidden_layers', 1, 'model.safetensors holds 2 encoder layers'],
    [
      'family-gte-base',
      'intermediate_size',
      48,
      'intermediate_size: is 48, but encoder.layer.0.mlp.down_proj.weight has 64 columns',
    ],
    [
      'family-roformer-seqcls',
      'max_position_embeddings',
      32,
      'max_position_embeddings: is 32, but roformer.encoder.embed_positions.weight has 64 rows',
    ],
  ])('%s: %s %i, which the weights contradict', async (name, key, value, problem) => {
    const checkpoint = await open(name, {
      [key]: value,
      ...(key === 'num_hidden_layers' && { layer_types: undefined }),
    });
    expect(() => built(checkpoint)).toThrow(problem);
  });
});

describe('an earlier config of the same model is read alike', () => {
  test.each<[name: string, what: string, config: Config]>([
    [
      'family-modernbert-seqcls',
      'of transformers 4',
      {
        rope_parameters: undefined,
        layer_types: undefined,
        global_rope_theta: 160000,
        local_rope_theta: 10000,
        global_attn_every_n_layers: 3,
      },
    ],
    ['family-modernbert-seqcls', 'with half of its window', { local_attention: 128, sliding_window: 8 }],
    ['family-gte-base', 'with the base beside it', { rope_parameters: undefined, rope_theta: 160000 }],
    [
      'family-nomicbert-base',
      'of its own code',
      {
        hidden_size: undefined,
        n_embd: 32,
        num_attention_heads: undefined,
        n_head: 4,
        num_hidden_layers: undefined,
        n_layer: 2,
        intermediate_size: undefined,
        n_inner: 64,
        max_position_embeddings: undefined,
        n_positions: 64,
        layer_norm_eps: undefined,
        layer_norm_epsilon: 1e-12,
        hidden_act: undefined,
        activation_function: 'swiglu',
        rope_parameters: undefined,
        rotary_emb_base: 1000,
        rotary_emb_fraction: 1,
        rotary_scaling_factor: null,
        prenorm: false,
      },
    ],
    ['family-deberta-v2-seqcls', 'with its terms in one text', { pos_att_type: 'p2c|c2p' }],
  ])('%s %s', async (name, _, config) => {
    expect(built(await open(name, config))).toBe(built(await open(name)));
  });

  test('and a local base of null is the global one', async () => {
    const before5 = { rope_parameters: undefined, global_rope_theta: 500 };
    const withLocal = async (base: JsonValue) =>
      built(await open('family-modernbert-seqcls', { ...before5, local_rope_theta: base }));
    expect(await withLocal(null)).toBe(await withLocal(500));
  });

  test('and another base gives another model', async () => {
    const far = rope({ full_attention: rope({ rope_theta: 10000 }), sliding_attention: rope({ rope_theta: 10000 }) });
    const changedBase = await open('family-modernbert-seqcls', { rope_parameters: far });
    expect(built(changedBase)).not.toBe(built(await open('family-modernbert-seqcls')));
  });
});

describe('files of the original code', () => {
  test('may keep the encoder under another module', async () => {
    const checkpoint = await open('family-nomicbert-seqcls');
    const renamed = [...checkpoint.tensors].map(
      ([name, tensor]) => [name.replace(/^nomic_bert\./, 'bert.'), tensor] as const,
    );
    const { warnings } = buildModel({ ...checkpoint, tensors: new Map(renamed) }, DYNAMIC);
    expect(warnings).toEqual([]);
  });

  test('of DeBERTa have a masked-LM head of their own, and a discriminator that no task uses', async () => {
    const checkpoint = await open('family-deberta-v2-conv', { legacy: undefined });
    const [, table] = [...checkpoint.tensors].find(([name]) => name.endsWith('lm_head.LayerNorm.bias')) ?? [];
    const tensors = new Map(checkpoint.tensors).set('mask_predictions.dense.bias', table as never);
    const { graph, warnings } = buildModel({ ...checkpoint, tensors }, DYNAMIC);
    expect(graph.nodes().some(({ name }) => name === 'lm_predictions.lm_head')).toBe(true);
    expect(warnings).toEqual([]);
    const bare = changed({ ...checkpoint, tensors }, {}, { architectures: undefined });
    expect(describeModel(bare).task).toBe('features');
    expect(buildModel(bare, DYNAMIC).warnings).toEqual([]);
  });
});

test.each([
  ['family-roformer-seqcls', 'sequence-classification'],
  ['family-roformer-mlm', 'masked-lm'],
  ['family-gte-mlm', 'masked-lm'],
  ['family-modernbert-mlm', 'masked-lm'],
  ['family-nomicbert-mlm', 'masked-lm'],
])('%s shows by its weights that it is for %s', async (name, task) => {
  expect(describeModel(await open(name, { architectures: undefined })).task).toBe(task);
});

test('RoBERTa reads the first of several token types, and says so', async () => {
  const checkpoint = await open('family-roberta-base', { type_vocab_size: 2 });
  const [name, { shape }] = [...checkpoint.tensors].find(([key]) => key.endsWith('token_type_embeddings.weight')) as [
    string,
    Tensor,
  ];
  const two = tensorOf('f32', [2, shape[1] as number], new Float32Array(2 * (shape[1] as number)));
  const { graph, warnings } = buildModel(
    { ...checkpoint, tensors: new Map(checkpoint.tensors).set(name, two) },
    DYNAMIC,
  );
  expect(graph.inputs.map((input) => input.name)).toEqual(['input_ids', 'attention_mask']);
  expect(warnings).toEqual([
    expect.stringContaining('token_type_embeddings: has 2 types, and every token is of the first'),
  ]);
  expect(buildModel(await open('family-roberta-base'), DYNAMIC).warnings).toEqual([]);
});

test('DeBERTa and GTE take token types where the config has several', async () => {
  const inputsOf = async (name: string) =>
    buildModel(await open(name), DYNAMIC).graph.inputs.map((input) => input.name);
  expect(await inputsOf('family-deberta-v2-seqcls')).toEqual(['input_ids', 'attention_mask']);
  expect(await inputsOf('family-deberta-v1-mlm')).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
  expect(await inputsOf('family-gte-base')).toEqual(['input_ids', 'attention_mask']);
  expect(await inputsOf('family-gte-mlm')).toEqual(['input_ids', 'attention_mask', 'token_type_ids']);
});
