import type { Node } from '../ir/graph.ts';
import { activate } from './activations.ts';
import { type Architecture, COMMON_TASKS } from './architecture.ts';
import { feedForward, normedSum } from './bert.ts';
import {
  add,
  addTokenTypes,
  type Builder,
  embed,
  embedPositions,
  firstToken,
  layerNorm,
  linear,
  weight,
  widthOf,
} from './builder.ts';
import { layerClaim, type SizeClaim } from './claims.ts';
import { disentangledAttention, openRelative, type RelativePlaces } from './deberta-attention.ts';
import { type DebertaSettings, readSettings } from './deberta-settings.ts';
import { predictWords } from './decoder.ts';
import { linearWith } from './parts.ts';

/** DeBERTa (He et al. 2020, https://arxiv.org/abs/2006.03654) as transformers computes it. */
export const deberta: Architecture = architecture('deberta', 1);

/**
 * DeBERTa-v2 and -v3 (He et al. 2021, https://arxiv.org/abs/2111.09543): logarithmic buckets, shared projections,
 * xlarge's convolution.
 */
export const debertaV2: Architecture = architecture('deberta-v2', 2);

function architecture(modelType: string, version: 1 | 2): Architecture {
  return {
    modelType,
    module: 'deberta',
    takesTokenTypes: false,
    tasks: COMMON_TASKS,
    predictions: 'cls.predictions',
    read(config) {
      const settings = readSettings(config, version);
      return {
        maxPositions: settings.positions.value,
        mask: 'added',
        takesTokenTypes: settings.tokenTypes.value > 0,
        sizes: (scope) => sizeClaims(settings, scope),
        counts: (scope) => [layerClaim(settings.layers, `${scope}encoder.layer.`)],
        encode: (builder, scope) => encode(builder, settings, scope),
        pool: (builder, _, hidden) => pool(builder, settings, hidden),
        pooler: undefined,
        predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
      };
    },
  };
}

function sizeClaims(
  { vocabulary, embedding, hidden, positions, tokenTypes, intermediate }: DebertaSettings,
  scope: string,
): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: embedding, weight: `${embeddings}word_embeddings.weight`, axis: 1 },
    { size: positions, weight: `${embeddings}position_embeddings.weight`, axis: 0 },
    { size: tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${embeddings}LayerNorm.weight`, axis: 0 },
    { size: intermediate, weight: `${scope}encoder.layer.0.intermediate.dense.bias`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: DebertaSettings, scope: string): Node {
  // Of the discriminator that version 3 is trained as, and of the other training head that its files hold.
  builder.weights.skip('mask_predictions');
  builder.weights.skip('lm_predictions');
  // Some files keep the positions that the config does not add.
  builder.weights.skip(`${scope}embeddings.position_embeddings`);
  const start = embeddings(builder, settings, `${scope}embeddings`);
  const places = openRelative(builder, settings, `${scope}encoder`);
  let x = start;
  for (let n = 0; n < settings.layers.value; n++) {
    x = layer(builder, settings, `${scope}encoder.layer.${n}`, x, places);
    if (n === 0 && settings.convolution) x = convolved(builder, settings, `${scope}encoder.conv`, start, x);
  }
  return x;
}

function embeddings(builder: Builder, settings: DebertaSettings, name: string): Node {
  const { vocabulary, embedding, hidden, positions, tokenTypes, epsilon } = settings;
  let sum = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, embedding.value);
  if (settings.hasPositions) {
    const places = embedPositions(builder, `${name}.position_embeddings`, positions.value, embedding.value);
    sum = add(builder, `${name}.add_positions`, 'add', [sum, places]);
  }
  sum = addTokenTypes(builder, name, sum, tokenTypes.value);
  const isNarrow = embedding.value !== hidden.value;
  const wide = isNarrow ? linearWith(builder, `${name}.embed_proj`, sum, hidden.value, false) : sum;
  return layerNorm(builder, `${name}.LayerNorm`, wide, epsilon);
}

function layer(
  builder: Builder,
  settings: DebertaSettings,
  name: string,
  x: Node,
  places: RelativePlaces | undefined,
): Node {
  const { epsilon, hidden } = settings;
  const attention = `${name}.attention`;
  const mixed = disentangledAttention(builder, settings, `${attention}.self`, x, places);
  const out = linear(builder, `${attention}.output.dense`, mixed, hidden.value);
  const y = normedSum(builder, `${attention}.output`, out, x, epsilon);
  return normedSum(builder, `${name}.output`, feedForward(builder, settings, name, y), y, epsilon);
}

/**
 * Adds LayerNorm(y + activation(conv(x))) with the embeddings x and the first layer's result y. Padding counts as
 * zeros, as it does beyond the ends; what comes out for padding is never read.
 */
function convolved(builder: Builder, settings: DebertaSettings, name: string, x: Node, y: Node): Node {
  const { hidden, convolution, epsilon } = settings;
  if (convolution === undefined) return y;
  const { width, activation } = convolution;
  const [size, shape] = [hidden.value, [builder.rows, builder.sequence, 1]];
  const ones = add(builder, `${name}.ones`, 'reshape', [builder.mask.ones], { shape });
  const masked = add(builder, `${name}.masked`, 'mul', [x, ones]);
  // torch has [out, in, width].
  const stored = weight(builder, `${name}.conv.weight`, [size, size, width]);
  const kernel = add(builder, `${name}.conv.kernel`, 'transpose', [stored], { permutation: [0, 2, 1] });
  const conv = add(builder, `${name}.conv`, 'conv1d', [masked, kernel, weight(builder, `${name}.conv.bias`, [size])]);
  return normedSum(builder, name, activate(builder, name, conv, activation), y, epsilon);
}

/** Adds activation(dense(first token)), the context pooler, which belongs to the head. */
function pool(builder: Builder, { poolerActivation }: DebertaSettings, hidden: Node): Node {
  const first = firstToken(builder, 'pooler.first_token', hidden);
  return activate(builder, 'pooler', linear(builder, 'pooler.dense', first, widthOf(first)), poolerActivation);
}

function predict(builder: Builder, settings: DebertaSettings, scope: string, hidden: Node): Node {
  const { embedding, activation, epsilon, isTied } = settings;
  const vocabulary = settings.vocabulary.value;
  // Microsoft's own files have the other head and do not say so.
  const isOnlyOther =
    !builder.weights.has('cls.predictions.bias') && builder.weights.has('lm_predictions.lm_head.bias');
  const isLegacy = settings.isLegacy && !isOnlyOther;
  const name = isLegacy ? 'cls.predictions' : 'lm_predictions.lm_head';
  return predictWords(builder, scope, hidden, {
    name,
    transform: isLegacy ? `${name}.transform` : name,
    norm: 'LayerNorm',
    decoder: `${name}.decoder`,
    vocabulary,
    width: isLegacy ? embedding.value : widthOf(hidden),
    activation,
    epsilon,
    isTied: isTied || !isLegacy,
  });
}
