import type { Node } from '../ir/graph.ts';
import { activate } from './activations.ts';
import { type Architecture, BERT_TASKS, type Model } from './architecture.ts';
import {
  add,
  addTokenTypes,
  attend,
  type Builder,
  embed,
  embedPositions,
  firstToken,
  layerNorm,
  linear,
  noNorm,
  weight,
  widthOf,
} from './builder.ts';
import { type CountClaim, layerClaim, type SizeClaim } from './claims.ts';
import { decoderBias, decoderWeight, transformHidden } from './decoder.ts';
import { innerSize, type MobileBertSettings, readSettings } from './mobilebert-settings.ts';

/**
 * MobileBERT (Sun et al. 2020, https://arxiv.org/abs/2004.02984) with every switch of its config, as transformers and
 * google-research compute it. IB-BERT, its teacher, is this with bottlenecks wider than the hidden size; then queries,
 * keys and values are [bottleneck, hidden], which transformers cannot load.
 */
export const mobilebert: Architecture = {
  modelType: 'mobilebert',
  module: 'mobilebert',
  takesTokenTypes: true,
  tasks: BERT_TASKS,
  predictions: 'cls.predictions',
  read(config, origin) {
    const settings = readSettings(config, origin);
    return {
      maxPositions: settings.positions.value,
      mask: origin === 'google' ? 'weak' : 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => countClaims(settings, scope),
      encode: (builder, scope) => encode(builder, settings, scope),
      pool: (builder, scope, hidden) => pool(builder, settings, scope, hidden),
      pooler: { weight: settings.poolerActivation ? 'pooler.dense.weight' : undefined },
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    } satisfies Model;
  },
};

function sizeClaims(settings: MobileBertSettings, scope: string): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  const layer = `${scope}encoder.layer.0.`;
  return [
    { size: settings.vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: settings.embedding, weight: `${embeddings}word_embeddings.weight`, axis: 1 },
    { size: settings.positions, weight: `${embeddings}position_embeddings.weight`, axis: 0 },
    { size: settings.hidden, weight: `${embeddings}position_embeddings.weight`, axis: 1 },
    { size: settings.tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: settings.bottleneck, weight: `${layer}bottleneck.input.dense.bias`, axis: 0 },
    { size: settings.intermediate, weight: `${layer}intermediate.dense.bias`, axis: 0 },
  ];
}

function* countClaims({ layers, feedForwards }: MobileBertSettings, scope: string): Iterable<CountClaim> {
  const before = `${scope}encoder.layer.`;
  yield layerClaim(layers, before);
  for (let n = 0; n < layers.value; n++) {
    yield {
      size: feedForwards,
      extra: 1,
      block: 'feed-forward network',
      within: ` of encoder layer ${n}`,
      before: `${before}${n}.ffn.`,
      marker: 'intermediate.',
    };
  }
}

function norm(
  builder: Builder,
  settings: MobileBertSettings,
  name: string,
  x: Node,
  epsilon = settings.epsilons.norm,
): Node {
  return settings.norm === 'layer' ? layerNorm(builder, name, x, epsilon) : noNorm(builder, name, x);
}

function encode(builder: Builder, settings: MobileBertSettings, scope: string): Node {
  let x = embeddings(builder, settings, `${scope}embeddings`);
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x);
  return x;
}

function embeddings(builder: Builder, settings: MobileBertSettings, name: string): Node {
  const hidden = settings.hidden.value;
  const { vocabulary, embedding, positions, tokenTypes } = settings;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, embedding.value);
  const front = transformWords(builder, settings, name, words);
  const places = embedPositions(builder, `${name}.position_embeddings`, positions.value, hidden);
  const placed = add(builder, `${name}.add_positions`, 'add', [front, places]);
  const sum = addTokenTypes(builder, name, placed, tokenTypes.value);
  return norm(builder, settings, `${name}.LayerNorm`, sum, settings.epsilons.bare);
}

/** Joins each token with its neighbours, [next, current, previous], to one vector, and maps that to the hidden size. */
function transformWords(builder: Builder, { trigram, hidden }: MobileBertSettings, name: string, words: Node): Node {
  const transformation = `${name}.embedding_transformation`;
  if (!trigram && widthOf(words) === hidden.value) {
    // transformers builds and stores the matrix even where it does not apply it.
    builder.weights.skip(transformation);
    return words;
  }
  if (!trigram) return linear(builder, transformation, words, hidden.value);
  const next = add(builder, `${name}.next`, 'shift', [words], { axis: 1, offset: 1 });
  const previous = add(builder, `${name}.previous`, 'shift', [words], { axis: 1, offset: -1 });
  const trigrams = add(builder, `${name}.trigram`, 'concat', [next, words, previous], { axis: -1 });
  return linear(builder, transformation, trigrams, hidden.value);
}

function layer(builder: Builder, settings: MobileBertSettings, name: string, x: Node): Node {
  const inputs = bottlenecks(builder, settings, `${name}.bottleneck`, x);
  let y = attention(builder, settings, `${name}.attention`, inputs);
  for (let n = 0; n < settings.feedForwards.value - 1; n++) {
    const network = `${name}.ffn.${n}`;
    const out = feedForward(builder, settings, network, y);
    y = normedSum(builder, settings, `${network}.output`, { x: out, residual: y });
  }
  const out = feedForward(builder, settings, name, y);
  const epsilon = settings.epsilons.bare;
  const inner = normedSum(builder, settings, `${name}.output`, { x: out, residual: y, epsilon });
  if (!settings.useBottleneck) return inner;
  const wide = linear(builder, `${name}.output.bottleneck.dense`, inner, settings.hidden.value);
  return normedSum(builder, settings, `${name}.output.bottleneck`, { x: wide, residual: x });
}

/** Inputs of the four readers inside a layer. */
interface LayerInputs {
  readonly query: Node;
  readonly key: Node;
  readonly value: Node;
  /** The residual that attention adds to. */
  readonly residual: Node;
}

function bottlenecks(builder: Builder, settings: MobileBertSettings, name: string, x: Node): LayerInputs {
  if (!settings.useBottleneck) return { query: x, key: x, value: x, residual: x };
  const narrow = (part: string) => {
    const dense = linear(builder, `${name}.${part}.dense`, x, settings.bottleneck.value);
    return norm(builder, settings, `${name}.${part}.LayerNorm`, dense);
  };
  const residual = narrow('input');
  if (settings.useBottleneckAttention) {
    // It wins over key_query_shared_bottleneck, whose matrix is then stored but never applied.
    builder.weights.skip(`${name}.attention`);
    return { query: residual, key: residual, value: residual, residual };
  }
  if (!settings.shareKeyQuery) return { query: x, key: x, value: x, residual };
  const shared = narrow('attention');
  return { query: shared, key: shared, value: x, residual };
}

function attention(builder: Builder, settings: MobileBertSettings, name: string, inputs: LayerInputs): Node {
  const inner = innerSize(settings).value;
  const mixed = attend(builder, `${name}.self`, {
    query: linear(builder, `${name}.self.query`, inputs.query, inner),
    key: linear(builder, `${name}.self.key`, inputs.key, inner),
    value: linear(builder, `${name}.self.value`, inputs.value, inner),
    heads: settings.heads,
  });
  const out = linear(builder, `${name}.output.dense`, mixed, inner);
  return normedSum(builder, settings, `${name}.output`, { x: out, residual: inputs.residual });
}

/** Adds output.dense(act(intermediate.dense(x))). */
function feedForward(builder: Builder, settings: MobileBertSettings, name: string, x: Node): Node {
  const wide = linear(builder, `${name}.intermediate.dense`, x, settings.intermediate.value);
  return linear(
    builder,
    `${name}.output.dense`,
    activate(builder, `${name}.intermediate`, wide, settings.activation),
    widthOf(x),
  );
}

interface Sum {
  readonly x: Node;
  readonly residual: Node;
  /** Epsilon of the norm. Default: `settings.epsilons.norm`. */
  readonly epsilon?: number;
}

/** Adds norm(x + residual) under `name.LayerNorm`. */
function normedSum(builder: Builder, settings: MobileBertSettings, name: string, { x, residual, epsilon }: Sum): Node {
  const sum = add(builder, `${name}.residual`, 'add', [x, residual]);
  return norm(builder, settings, `${name}.LayerNorm`, sum, epsilon);
}

function pool(builder: Builder, { poolerActivation }: MobileBertSettings, scope: string, hidden: Node): Node {
  const first = firstToken(builder, `${scope}pooler.first_token`, hidden);
  if (!poolerActivation) return first;
  return add(builder, `${scope}pooler.tanh`, 'tanh', [linear(builder, `${scope}pooler.dense`, first, widthOf(first))]);
}

/**
 * Adds scores h · [decoderᵀ; dense] + bias: the words' embeddings [vocabulary, embedding] reach only the first part of
 * the hidden vector, `dense` [hidden - embedding, vocabulary] the rest. The transform's LayerNorm is one in NoNorm
 * models, too.
 */
function predict(builder: Builder, settings: MobileBertSettings, scope: string, hidden: Node): Node {
  const name = 'cls.predictions';
  const { activation, epsilons, isTied } = settings;
  const [words, width] = [settings.vocabulary.value, settings.embedding.value];
  const x = transformHidden(builder, `${name}.transform`, hidden, {
    norm: 'LayerNorm',
    width: widthOf(hidden),
    activation,
    epsilon: epsilons.head,
  });
  const decoder = decoderWeight(builder, `${name}.decoder`, { isTied, scope }, [words, width]);
  const rest = settings.hidden.value - width;
  const matrix = joinDecoder(builder, name, decoder, [rest, words]);
  return add(builder, name, 'linear', [x, matrix, decoderBias(builder, name, words)]);
}

function joinDecoder(builder: Builder, name: string, decoder: Node, shape: readonly [number, number]): Node {
  if (shape[0] === 0) {
    builder.weights.skip(`${name}.dense`);
    return decoder;
  }
  const dense = weight(builder, `${name}.dense.weight`, shape);
  const turned = add(builder, `${name}.dense.transposed`, 'transpose', [dense], { permutation: [1, 0] });
  return add(builder, `${name}.decoder.joined`, 'concat', [decoder, turned], { axis: 1 });
}
