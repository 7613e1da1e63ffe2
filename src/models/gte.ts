import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS } from './activations.ts';
import type { Architecture } from './architecture.ts';
import { attendByPlace } from './attention.ts';
import { pool } from './bert.ts';
import { add, type Builder, embed, layerNorm, linear, weight, widthOf } from './builder.ts';
import { layerClaim, type SizeClaim } from './claims.ts';
import type { ConfigReader } from './config.ts';
import { readPlaces } from './counted-places.ts';
import { predictWords } from './decoder.ts';
import { gated } from './gated.ts';
import { partLinear, projectFused, range } from './parts.ts';
import { type Rotation, readHeadSize, readRope, rotate, rotation, type TurnedSettings, turnByBase } from './rotary.ts';

/**
 * GTE (Zhang et al. 2024, https://arxiv.org/abs/2407.19669) as transformers computes it: BERT with turned places and
 * gated units.
 */
export const gte: Architecture = {
  modelType: 'gte',
  module: 'gte',
  formerModule: 'new',
  takesTokenTypes: false,
  tasks: ['features', 'sequence-classification', 'token-classification', 'masked-lm'],
  predictions: 'lm_head',
  read(config) {
    const settings = readSettings(config);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      takesTokenTypes: settings.tokenTypes.value > 1,
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [layerClaim(settings.layers, `${scope}encoder.layer.`)],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool,
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    };
  },
};

/** Reads settings with the defaults of transformers' GteConfig, the sizes of gte-multilingual-base. */
function readSettings(config: ConfigReader): TurnedSettings {
  const hidden = config.size('hidden_size', 768);
  const heads = config.size('num_attention_heads', 12).value;
  const size = readHeadSize(config, hidden.value, heads);
  return {
    vocabulary: config.size('vocab_size', 250048),
    hidden,
    intermediate: config.size('intermediate_size', 3072),
    layers: config.size('num_hidden_layers', 12),
    positions: readPlaces(config, 8192),
    tokenTypes: config.integer('type_vocab_size', 1),
    heads,
    size,
    activation: config.choice('hidden_act', ACTIVATIONS, 'gelu'),
    epsilon: config.positive('layer_norm_eps', 1e-12),
    isTied: config.flag('tie_word_embeddings', true),
    base: readRope(config, 160_000),
  };
}

function sizeClaims({ vocabulary, hidden, tokenTypes, intermediate }: TurnedSettings, scope: string): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${embeddings}word_embeddings.weight`, axis: 1 },
    { size: tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: intermediate, weight: `${scope}encoder.layer.0.mlp.down_proj.weight`, axis: 1 },
  ];
}

function encode(builder: Builder, settings: TurnedSettings, scope: string): Node {
  const { epsilon, layers, positions, size, base } = settings;
  const words = embeddings(builder, settings, `${scope}embeddings`);
  let x = layerNorm(builder, `${scope}embeddings.LayerNorm`, words, epsilon);
  const tables = rotation(builder, `${scope}rotary`, positions.value, size, turnByBase(base, size));
  for (let n = 0; n < layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x, tables);
  return x;
}

/** Adds words and token types; a table of one type is added to all tokens, and its input is none of the model's. */
function embeddings(builder: Builder, { vocabulary, hidden, tokenTypes }: TurnedSettings, name: string): Node {
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  if (tokenTypes.value < 1) return words;
  const types = `${name}.token_type_embeddings`;
  const added =
    builder.tokenTypes === undefined
      ? weight(builder, `${types}.weight`, [1, hidden.value])
      : embed(builder, types, builder.tokenTypes, tokenTypes.value, hidden.value);
  return add(builder, `${name}.add_token_types`, 'add', [words, added]);
}

function layer(builder: Builder, settings: TurnedSettings, name: string, x: Node, tables: Rotation): Node {
  const { hidden, intermediate, heads, size, activation, epsilon } = settings;
  const projected = projectFused(builder, `${name}.attention.qkv_proj`, x, {
    width: heads * size,
    heads,
    hasBias: true,
  });
  const mixed = attendByPlace(builder, `${name}.attention`, projected, {
    turn: (path, y) => rotate(builder, path, y, tables),
  });
  const out = linear(builder, `${name}.attention.o_proj`, mixed, hidden.value);
  const y = layerNorm(builder, `${name}.attn_ln`, add(builder, `${name}.attn_residual`, 'add', [out, x]), epsilon);
  const inner = intermediate.value;
  const wide = { name: `${name}.mlp.up_gate_proj`, of: 2 * inner, hasBias: false };
  const up = partLinear(builder, { ...wide, part: 'up', rows: range(0, inner) }, y);
  const gate = partLinear(builder, { ...wide, part: 'gate', rows: range(inner, inner) }, y);
  const act = gated(builder, `${name}.mlp`, gate, up, activation);
  const narrow = linear(builder, `${name}.mlp.down_proj`, act, hidden.value);
  return layerNorm(builder, `${name}.mlp_ln`, add(builder, `${name}.mlp_residual`, 'add', [narrow, y]), epsilon);
}

/** Adds the scores of words. The head's activation is GELU whatever the config says, and its bias is the decoder's. */
function predict(builder: Builder, { vocabulary, epsilon, isTied }: TurnedSettings, scope: string, hidden: Node): Node {
  return predictWords(builder, scope, hidden, {
    name: 'lm_head',
    transform: 'lm_head',
    norm: 'norm',
    decoder: 'lm_head.decoder',
    vocabulary: vocabulary.value,
    width: widthOf(hidden),
    activation: 'gelu',
    epsilon,
    isTied,
  });
}
