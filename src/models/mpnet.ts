import type { Node } from '../ir/graph.ts';
import type { Architecture } from './architecture.ts';
import { BERT_BASE, feedForward, normedSum, readSettings } from './bert.ts';
import { add, attend, type Builder, embed, linear } from './builder.ts';
import type { SizeClaim } from './claims.ts';
import type { ClaimedSize, ConfigReader } from './config.ts';
import { relativeBias } from './relative-bias.ts';
import { checkPositions, normedWithPlaces, ROBERTA_HEADS, type RobertaSettings, robertaModel } from './roberta.ts';

/**
 * MPNet (Song et al. 2020, https://arxiv.org/abs/2004.09297): RoBERTa with a bias of the scores by distance, one for
 * all layers.
 */
export const mpnet: Architecture = {
  ...ROBERTA_HEADS,
  modelType: 'mpnet',
  module: 'mpnet',
  read(config) {
    const settings = readMpnetSettings(config);
    return {
      ...robertaModel(settings, (builder, scope) => encode(builder, settings, scope)),
      sizes: (scope) => sizeClaims(settings, scope),
    };
  },
};

interface MpnetSettings extends RobertaSettings {
  readonly buckets: ClaimedSize;
}

/** Id of padding: transformers' MPNet has a number in its code where RoBERTa asks pad_token_id. */
const PADDING = 1;

/** Buckets of distances, whatever the config says; a larger table has rows that nothing reads. */
const BUCKETS = { count: 32, maxDistance: 128 };

function readMpnetSettings(config: ConfigReader): MpnetSettings {
  const settings = {
    ...readSettings(config, { ...BERT_BASE, vocabulary: 30527 }),
    padding: PADDING,
    buckets: config.size('relative_attention_num_buckets', BUCKETS.count),
  };
  checkPositions(config, settings);
  if (settings.buckets.value < BUCKETS.count) {
    config.refuse(
      'relative_attention_num_buckets',
      `${settings.buckets.value} is less than the ${BUCKETS.count} in use`,
    );
  }
  return settings;
}

function sizeClaims(
  { vocabulary, hidden, positions, intermediate, buckets }: MpnetSettings,
  scope: string,
): SizeClaim[] {
  return [
    { size: vocabulary, weight: `${scope}embeddings.word_embeddings.weight`, axis: 0 },
    { size: positions, weight: `${scope}embeddings.position_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${scope}embeddings.position_embeddings.weight`, axis: 1 },
    { size: intermediate, weight: `${scope}encoder.layer.0.intermediate.dense.bias`, axis: 0 },
    { size: buckets, weight: `${scope}encoder.relative_attention_bias.weight`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: MpnetSettings, scope: string): Node {
  const bias = relativeBias(builder, `${scope}encoder.relative_attention_bias`, {
    ...BUCKETS,
    rows: settings.buckets.value,
    heads: settings.heads,
    maxLength: settings.positions.value - PADDING - 1,
  });
  // One sum serves all layers: what a layer adds to its scores is what it would have added for the mask alone.
  const masked = add(builder, `${scope}encoder.attention_bias`, 'add', [bias, builder.mask.bias]);
  const within: Builder = { ...builder, mask: { ...builder.mask, bias: masked } };
  let x: Node = embeddings(builder, settings, `${scope}embeddings`);
  for (let n = 0; n < settings.layers.value; n++) x = layer(within, settings, `${scope}encoder.layer.${n}`, x);
  return x;
}

function embeddings(builder: Builder, settings: MpnetSettings, name: string): Node {
  const { vocabulary, hidden } = settings;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  return normedWithPlaces(builder, settings, name, words);
}

function layer(builder: Builder, settings: MpnetSettings, name: string, x: Node): Node {
  const { heads, epsilon } = settings;
  const width = settings.hidden.value;
  const attention = `${name}.attention.attn`;
  const mixed = attend(builder, attention, {
    query: linear(builder, `${attention}.q`, x, width),
    key: linear(builder, `${attention}.k`, x, width),
    value: linear(builder, `${attention}.v`, x, width),
    heads,
  });
  const y = normedSum(builder, `${name}.attention`, linear(builder, `${attention}.o`, mixed, width), x, epsilon);
  return normedSum(builder, `${name}.output`, feedForward(builder, settings, name, y), y, epsilon);
}
