import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS, type Activation, activate, GOOGLE_ACTIVATIONS } from './activations.ts';
import { type Architecture, BERT_TASKS, type Model } from './architecture.ts';
import { bertAttention, openKeys, POSITION_TYPES, type RelativeKeys } from './bert-attention.ts';
import {
  add,
  addTokenTypes,
  type Builder,
  embed,
  embedPositions,
  firstToken,
  layerNorm,
  linear,
  widthOf,
} from './builder.ts';
import { layerClaim, type SizeClaim } from './claims.ts';
import { type ClaimedSize, type ConfigReader, refuseUnequalHeads } from './config.ts';
import { refuseFar } from './counted-places.ts';
import { predictWords } from './decoder.ts';

/**
 * BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as transformers computes it; MiniLM, TinyBERT and
 * XtremeDistil are of this family.
 */
export const bert: Architecture = {
  modelType: 'bert',
  module: 'bert',
  takesTokenTypes: true,
  tasks: BERT_TASKS,
  predictions: 'cls.predictions',
  read(config, origin) {
    const isGoogle = origin === 'google';
    const settings = readSettings(
      config,
      { ...BERT_BASE, tokenTypes: isGoogle ? 16 : 2, takesDistances: true },
      isGoogle ? GOOGLE_ACTIVATIONS : ACTIVATIONS,
    );
    const positionType = config.choice('position_embedding_type', POSITION_TYPES, 'absolute');
    if (positionType !== 'absolute') refuseFar(config, settings.positions);
    return bertModel(settings, (builder, scope) => {
      // TinyBERT's training maps hidden states to its teacher's width with it.
      builder.weights.skip('fit_dense');
      const keys = openKeys(builder, `${scope}encoder`, positionType, settings.positions.value);
      const name = `${scope}embeddings`;
      if (keys === undefined) return layers(builder, settings, scope, embeddings(builder, settings, name));
      builder.weights.skip(`${name}.position_embeddings`);
      const sum = sumWordsAndTypes(builder, settings, name);
      return layers(builder, settings, scope, layerNorm(builder, `${name}.LayerNorm`, sum, settings.epsilon), keys);
    });
  },
};

/** Settings in the config of a BERT and of its closest relatives. */
export interface BertSettings {
  readonly vocabulary: ClaimedSize;
  readonly hidden: ClaimedSize;
  readonly intermediate: ClaimedSize;
  readonly layers: ClaimedSize;
  readonly positions: ClaimedSize;
  readonly tokenTypes: ClaimedSize;
  readonly heads: number;
  readonly activation: Activation;
  readonly epsilon: number;
  readonly isTied: boolean;
}

/** Defaults of what such a config leaves unsaid. */
export interface BertDefaults {
  readonly vocabulary: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly tokenTypes: number;
  readonly heads: number;
  readonly activation: string;
  /** Number of positions. Default: 512. */
  readonly positions?: number;
  /** Whether models may know places by distances. */
  readonly takesDistances?: boolean;
}

/** Defaults of transformers' BertConfig: the sizes of bert-base-uncased. */
export const BERT_BASE: BertDefaults = {
  vocabulary: 30522,
  hidden: 768,
  intermediate: 3072,
  layers: 12,
  tokenTypes: 2,
  heads: 12,
  activation: 'gelu',
};

export function readSettings(config: ConfigReader, defaults: BertDefaults, activations = ACTIVATIONS): BertSettings {
  const settings: BertSettings = {
    vocabulary: config.size('vocab_size', defaults.vocabulary),
    hidden: config.size('hidden_size', defaults.hidden),
    intermediate: config.size('intermediate_size', defaults.intermediate),
    layers: config.size('num_hidden_layers', defaults.layers),
    positions: config.size('max_position_embeddings', defaults.positions ?? 512),
    tokenTypes: config.size('type_vocab_size', defaults.tokenTypes),
    heads: config.size('num_attention_heads', defaults.heads).value,
    activation: config.choice('hidden_act', activations, defaults.activation),
    epsilon: config.positive('layer_norm_eps', 1e-12),
    isTied: config.flag('tie_word_embeddings', true),
  };
  refuseUnequalHeads(config, 'num_attention_heads', settings.hidden, settings.heads);
  if (!defaults.takesDistances) {
    config.demand('position_embedding_type', 'absolute', 'relative positions change the attention');
  }
  config.demand('is_decoder', false, 'decoders attend to earlier tokens only');
  return settings;
}

/** Makes a model that has BERT's names, pooler and masked-LM head around what `encode` computes. */
export function bertModel(settings: BertSettings, encode: Model['encode']): Model {
  return {
    maxPositions: settings.positions.value,
    mask: 'added',
    sizes: (scope) => sizeClaims(settings, scope),
    counts: (scope) => [layerClaim(settings.layers, `${scope}encoder.layer.`)],
    encode,
    pool,
    pooler: { weight: 'pooler.dense.weight' },
    predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
  };
}

/** Claims of a BERT's sizes; `embedding` is the width of the embeddings where it is not the hidden size. */
export function sizeClaims(settings: BertSettings, scope: string, embedding = settings.hidden): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: settings.vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: settings.positions, weight: `${embeddings}position_embeddings.weight`, axis: 0 },
    { size: embedding, weight: `${embeddings}position_embeddings.weight`, axis: 1 },
    { size: settings.tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: settings.intermediate, weight: `${scope}encoder.layer.0.intermediate.dense.bias`, axis: 0 },
  ];
}

/** Adds all layers, one after the other. */
export function layers(
  builder: Builder,
  settings: BertSettings,
  scope: string,
  embedded: Node,
  keys?: RelativeKeys,
): Node {
  let x = embedded;
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x, keys);
  return x;
}

/** Adds LayerNorm of `sumEmbeddings` under `name.LayerNorm`. */
export function embeddings(builder: Builder, settings: BertSettings, name: string, everywhere?: Node): Node {
  return layerNorm(builder, `${name}.LayerNorm`, sumEmbeddings(builder, settings, name, everywhere), settings.epsilon);
}

/** Adds the sum of a token's word, its type, its position and what is the same `everywhere`, all of the hidden size. */
export function sumEmbeddings(builder: Builder, settings: BertSettings, name: string, everywhere?: Node): Node {
  const sum = sumWordsAndTypes(builder, settings, name);
  const { positions, hidden } = settings;
  const places = embedPositions(builder, `${name}.position_embeddings`, positions.value, hidden.value, everywhere);
  return add(builder, `${name}.add_positions`, 'add', [sum, places]);
}

function sumWordsAndTypes(builder: Builder, settings: BertSettings, name: string): Node {
  const { vocabulary, hidden, tokenTypes } = settings;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  return addTokenTypes(builder, name, words, tokenTypes.value);
}

function layer(builder: Builder, settings: BertSettings, name: string, x: Node, keys: RelativeKeys | undefined): Node {
  const { epsilon } = settings;
  const y = normedSum(
    builder,
    `${name}.attention.output`,
    attention(builder, settings, `${name}.attention`, x, keys),
    x,
    epsilon,
  );
  return normedSum(builder, `${name}.output`, feedForward(builder, settings, name, y), y, epsilon);
}

/** Adds output.dense(self(x)) under `name`. */
export function attention(
  builder: Builder,
  { hidden, heads }: BertSettings,
  name: string,
  x: Node,
  keys?: RelativeKeys,
): Node {
  const projected = {
    query: linear(builder, `${name}.self.query`, x, hidden.value),
    key: linear(builder, `${name}.self.key`, x, hidden.value),
    value: linear(builder, `${name}.self.value`, x, hidden.value),
    heads,
  };
  const mixed = bertAttention(builder, `${name}.self`, projected, keys);
  return linear(builder, `${name}.output.dense`, mixed, hidden.value);
}

/** Adds output.dense(activation(intermediate.dense(x))) under `name`. */
export function feedForward(
  builder: Builder,
  settings: Pick<BertSettings, 'hidden' | 'intermediate' | 'activation'>,
  name: string,
  x: Node,
): Node {
  const wide = linear(builder, `${name}.intermediate.dense`, x, settings.intermediate.value);
  const active = activate(builder, `${name}.intermediate`, wide, settings.activation);
  return linear(builder, `${name}.output.dense`, active, settings.hidden.value);
}

/** Adds LayerNorm(x + residual) under `name.LayerNorm`. */
export function normedSum(builder: Builder, name: string, x: Node, residual: Node, epsilon: number): Node {
  return layerNorm(builder, `${name}.LayerNorm`, add(builder, `${name}.residual`, 'add', [x, residual]), epsilon);
}

/** Adds tanh(dense(first token)). */
export function pool(builder: Builder, scope: string, hidden: Node): Node {
  const first = firstToken(builder, `${scope}pooler.first_token`, hidden);
  return add(builder, `${scope}pooler.tanh`, 'tanh', [linear(builder, `${scope}pooler.dense`, first, widthOf(first))]);
}

/** Adds the scores of words by the head `cls.predictions`; its decoder reads `width` channels. */
export function predict(
  builder: Builder,
  settings: BertSettings,
  scope: string,
  hidden: Node,
  width = widthOf(hidden),
): Node {
  return predictWords(builder, scope, hidden, {
    name: 'cls.predictions',
    transform: 'cls.predictions.transform',
    norm: 'LayerNorm',
    decoder: 'cls.predictions.decoder',
    width,
    ...wordSettings(settings),
  });
}

/** Settings that a masked-LM head shares with its encoder. */
export function wordSettings({ vocabulary, activation, epsilon, isTied }: BertSettings) {
  return { vocabulary: vocabulary.value, activation, epsilon, isTied };
}
