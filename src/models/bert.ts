import type { Origin } from '../formats/checkpoint.ts';
import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS, type Activation, activate, GOOGLE_ACTIVATIONS } from './activations.ts';
import type { Architecture } from './architecture.ts';
import { add, attend, type Builder, embed, embedPositions, firstToken, layerNorm, linear, widthOf } from './builder.ts';
import type { SizeClaim } from './claims.ts';
import type { ConfigReader, Size } from './config.ts';
import { decoderBias, decoderWeight } from './decoder.ts';

/** BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as transformers computes it; MiniLM, TinyBERT and XtremeDistil are of this family. */
export const bert: Architecture = {
  modelType: 'bert',
  takesTokenTypes: true,
  predictions: 'cls.predictions',
  read(config, origin) {
    const settings = readSettings(config, origin);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [
        {
          size: settings.layers,
          extra: 0,
          block: 'encoder layer',
          within: '',
          before: `${scope}encoder.layer.`,
          marker: 'attention.',
        },
      ],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool,
      pooler: { weight: 'pooler.dense.weight' },
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    };
  },
};

interface Settings {
  readonly vocabulary: Size;
  readonly hidden: Size;
  readonly intermediate: Size;
  readonly layers: Size;
  readonly positions: Size;
  readonly tokenTypes: Size;
  readonly heads: number;
  readonly activation: Activation;
  readonly epsilon: number;
  readonly isTied: boolean;
}

/** Defaults are those of transformers' BertConfig, the sizes of bert-base-uncased; google-research/bert's differ in one. */
function readSettings(config: ConfigReader, origin: Origin): Settings {
  const activations = origin === 'google' ? GOOGLE_ACTIVATIONS : ACTIVATIONS;
  const settings: Settings = {
    vocabulary: config.size('vocab_size', 30522),
    hidden: config.size('hidden_size', 768),
    intermediate: config.size('intermediate_size', 3072),
    layers: config.size('num_hidden_layers', 12),
    positions: config.size('max_position_embeddings', 512),
    tokenTypes: config.size('type_vocab_size', origin === 'google' ? 16 : 2),
    heads: config.size('num_attention_heads', 12).value,
    activation: config.choice('hidden_act', activations, 'gelu'),
    epsilon: config.positive('layer_norm_eps', 1e-12),
    isTied: config.flag('tie_word_embeddings', true),
  };
  const { hidden, heads } = settings;
  if (hidden.value % heads !== 0) {
    config.refuse('num_attention_heads', `hidden_size ${hidden.value} is not divisible by ${heads} heads`);
  }
  config.demand('position_embedding_type', 'absolute', 'relative positions change the attention');
  config.demand('is_decoder', false, 'decoders attend to earlier tokens only');
  return settings;
}

function sizeClaims({ vocabulary, hidden, positions, tokenTypes, intermediate }: Settings, scope: string): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: positions, weight: `${embeddings}position_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${embeddings}position_embeddings.weight`, axis: 1 },
    { size: tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: intermediate, weight: `${scope}encoder.layer.0.intermediate.dense.bias`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: Settings, scope: string): Node {
  // TinyBERT's training maps hidden states to its teacher's width with it.
  builder.weights.skip('fit_dense');
  let x = embeddings(builder, settings, `${scope}embeddings`);
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x);
  return x;
}

function embeddings(builder: Builder, settings: Settings, name: string): Node {
  const hidden = settings.hidden.value;
  const { vocabulary, positions, tokenTypes, epsilon } = settings;
  let sum = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden);
  if (builder.tokenTypes !== undefined) {
    const types = embed(builder, `${name}.token_type_embeddings`, builder.tokenTypes, tokenTypes.value, hidden);
    sum = add(builder, `${name}.add_token_types`, 'add', [sum, types]);
  }
  const places = embedPositions(builder, `${name}.position_embeddings`, positions.value, hidden);
  sum = add(builder, `${name}.add_positions`, 'add', [sum, places]);
  return layerNorm(builder, `${name}.LayerNorm`, sum, epsilon);
}

function layer(builder: Builder, settings: Settings, name: string, x: Node): Node {
  const { heads, activation, epsilon } = settings;
  const hidden = settings.hidden.value;
  const attention = `${name}.attention`;
  const mixed = attend(builder, `${attention}.self`, {
    query: linear(builder, `${attention}.self.query`, x, hidden),
    key: linear(builder, `${attention}.self.key`, x, hidden),
    value: linear(builder, `${attention}.self.value`, x, hidden),
    heads,
  });
  const y = normedSum(
    builder,
    `${attention}.output`,
    linear(builder, `${attention}.output.dense`, mixed, hidden),
    x,
    epsilon,
  );
  const wide = linear(builder, `${name}.intermediate.dense`, y, settings.intermediate.value);
  const narrow = linear(
    builder,
    `${name}.output.dense`,
    activate(builder, `${name}.intermediate`, wide, activation),
    hidden,
  );
  return normedSum(builder, `${name}.output`, narrow, y, epsilon);
}

/** LayerNorm(x + residual) under `name.LayerNorm`. */
function normedSum(builder: Builder, name: string, x: Node, residual: Node, epsilon: number): Node {
  return layerNorm(builder, `${name}.LayerNorm`, add(builder, `${name}.residual`, 'add', [x, residual]), epsilon);
}

/** tanh(dense(first token)). */
function pool(builder: Builder, scope: string, hidden: Node): Node {
  const first = firstToken(builder, `${scope}pooler.first_token`, hidden);
  return add(builder, `${scope}pooler.tanh`, 'tanh', [linear(builder, `${scope}pooler.dense`, first, widthOf(first))]);
}

function predict(builder: Builder, settings: Settings, scope: string, hidden: Node): Node {
  const name = 'cls.predictions';
  const { vocabulary, activation, epsilon, isTied } = settings;
  const dense = linear(builder, `${name}.transform.dense`, hidden, widthOf(hidden));
  const act = activate(builder, `${name}.transform`, dense, activation);
  const x = layerNorm(builder, `${name}.transform.LayerNorm`, act, epsilon);
  const matrix = decoderWeight(builder, `${name}.decoder`, { isTied, scope }, [vocabulary.value, widthOf(x)]);
  return add(builder, name, 'linear', [x, matrix, decoderBias(builder, name, vocabulary.value)]);
}
