import type { Node } from '../ir/graph.ts';
import { activate } from './activations.ts';
import { type Architecture, COMMON_TASKS, type HeadInput, type Model } from './architecture.ts';
import { type BertSettings, embeddings, normedSum, readSettings, wordSettings } from './bert.ts';
import { add, attend, type Builder, firstToken, layerNorm, linear, widthOf } from './builder.ts';
import type { CountClaim, SizeClaim } from './claims.ts';
import type { ClaimedSize, ConfigReader } from './config.ts';
import { predictWords } from './decoder.ts';
import { countLabels } from './heads.ts';

/**
 * ALBERT (Lan et al. 2019, https://arxiv.org/abs/1909.11942): narrow embeddings, and layers that share their weights in
 * groups.
 */
export const albert: Architecture = {
  modelType: 'albert',
  module: 'albert',
  takesTokenTypes: true,
  tasks: [...COMMON_TASKS, 'pretraining'],
  predictions: 'predictions',
  headWeights: new Map([['sop_classifier.classifier.weight', 'pretraining']]),
  read(config) {
    const settings = readAlbertSettings(config);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => countClaims(settings, scope),
      encode: (builder, scope) => encode(builder, settings, scope),
      pool,
      pooler: { weight: 'pooler.weight' },
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
      heads: { pretraining },
    } satisfies Model;
  },
};

interface AlbertSettings extends BertSettings {
  readonly embedding: ClaimedSize;
  /** Number of groups with weights of their own: layer n has those of group ⌊n · groups / layers⌋. */
  readonly groups: ClaimedSize;
  /** Number of layers in a group, one after the other. */
  readonly inner: ClaimedSize;
}

/**
 * Most layers: no file tells how often its layers are repeated, so that a config could ask for any number; the largest
 * ALBERT has 24.
 */
const MAX_LAYERS = 1000;

/** Reads settings with the defaults of transformers' AlbertConfig, the sizes of albert-xxlarge. */
function readAlbertSettings(config: ConfigReader): AlbertSettings {
  const settings = {
    ...readSettings(config, {
      vocabulary: 30000,
      hidden: 4096,
      intermediate: 16384,
      layers: 12,
      tokenTypes: 2,
      heads: 64,
      activation: 'gelu_new',
    }),
    embedding: config.size('embedding_size', 128),
    groups: config.size('num_hidden_groups', 1),
    inner: config.size('inner_group_num', 1),
  };
  const { layers } = settings;
  if (layers.value > MAX_LAYERS) config.refuse('num_hidden_layers', `${layers.value} is more than ${MAX_LAYERS}`);
  return settings;
}

function sizeClaims({ vocabulary, embedding, hidden, ...rest }: AlbertSettings, scope: string): SizeClaim[] {
  const tables = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${tables}word_embeddings.weight`, axis: 0 },
    { size: embedding, weight: `${tables}word_embeddings.weight`, axis: 1 },
    { size: rest.positions, weight: `${tables}position_embeddings.weight`, axis: 0 },
    { size: rest.tokenTypes, weight: `${tables}token_type_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${scope}encoder.embedding_hidden_mapping_in.bias`, axis: 0 },
    { size: rest.intermediate, weight: `${moduleOf(scope, 0, 0)}.ffn.bias`, axis: 0 },
  ];
}

function* countClaims({ groups, inner }: AlbertSettings, scope: string): Iterable<CountClaim> {
  const before = `${scope}encoder.albert_layer_groups.`;
  yield { size: groups, extra: 0, block: 'layer group', within: '', before, marker: 'albert_layers.' };
  for (let group = 0; group < groups.value; group++) {
    yield {
      size: inner,
      extra: 0,
      block: 'layer',
      within: ` in layer group ${group}`,
      before: `${before}${group}.albert_layers.`,
      marker: 'attention.',
    };
  }
}

/** Module in which a layer of a group has its weights. */
function moduleOf(scope: string, group: number, inner: number): string {
  return `${scope}encoder.albert_layer_groups.${group}.albert_layers.${inner}`;
}

function encode(builder: Builder, settings: AlbertSettings, scope: string): Node {
  const { embedding, hidden, groups, inner } = settings;
  const narrow = embeddings(builder, { ...settings, hidden: embedding }, `${scope}embeddings`);
  let x: Node = linear(builder, `${scope}encoder.embedding_hidden_mapping_in`, narrow, hidden.value);
  const repeats = settings.layers.value;
  for (let n = 0; n < repeats; n++) {
    const group = Math.trunc(n / (repeats / groups.value));
    for (let i = 0; i < inner.value; i++) {
      const name = `${scope}encoder.layer.${n * inner.value + i}`;
      x = layer(builder, settings, { module: moduleOf(scope, group, i), name }, x);
    }
  }
  return x;
}

/** Adds a layer of the weights under `module`, its nodes under `name`. */
function layer(
  shared: Builder,
  settings: AlbertSettings,
  { module, name }: { readonly module: string; readonly name: string },
  x: Node,
): Node {
  const builder: Builder = { ...shared, nodeName: (path) => path.replace(module, name) };
  const { heads, activation, epsilon } = settings;
  const hidden = settings.hidden.value;
  const attention = `${module}.attention`;
  const mixed = attend(builder, attention, {
    query: linear(builder, `${attention}.query`, x, hidden),
    key: linear(builder, `${attention}.key`, x, hidden),
    value: linear(builder, `${attention}.value`, x, hidden),
    heads,
  });
  const y = normedSum(builder, attention, linear(builder, `${attention}.dense`, mixed, hidden), x, epsilon);
  const wide = linear(builder, `${module}.ffn`, y, settings.intermediate.value);
  const narrow = linear(builder, `${module}.ffn_output`, activate(builder, module, wide, activation), hidden);
  const sum = add(builder, `${module}.residual`, 'add', [narrow, y]);
  return layerNorm(builder, `${module}.full_layer_layer_norm`, sum, epsilon);
}

/** Adds tanh(pooler(first token)). */
function pool(builder: Builder, scope: string, hidden: Node): Node {
  const first = firstToken(builder, `${scope}pooler.first_token`, hidden);
  return add(builder, `${scope}pooler.tanh`, 'tanh', [linear(builder, `${scope}pooler`, first, widthOf(first))]);
}

/**
 * Adds prediction_logits [batch, sequence, vocabulary] and sop_logits [batch, labels]: the sentences are in order, or
 * are not.
 */
function pretraining(input: HeadInput): void {
  const { builder, model, scope, hidden } = input;
  builder.graph.output('prediction_logits', model.predict(builder, scope, hidden));
  const classifier = 'sop_classifier.classifier';
  const pooled = model.pool(builder, scope, hidden);
  builder.graph.output('sop_logits', linear(builder, classifier, pooled, countLabels(input, classifier)));
}

function predict(builder: Builder, settings: AlbertSettings, scope: string, hidden: Node): Node {
  return predictWords(builder, scope, hidden, {
    ...wordSettings(settings),
    name: 'predictions',
    transform: 'predictions',
    norm: 'LayerNorm',
    decoder: 'predictions.decoder',
    width: settings.embedding.value,
  });
}
