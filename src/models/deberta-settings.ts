import { ACTIVATIONS, type Activation } from './activations.ts';
import type { BertSettings } from './bert.ts';
import { type ClaimedSize, type ConfigReader, refuseUnequalHeads } from './config.ts';
import { readPlaces } from './counted-places.ts';

/** Settings of a DeBERTa's config, of either version. */
export interface DebertaSettings extends BertSettings {
  readonly version: 1 | 2;
  readonly embedding: ClaimedSize;
  /** Number of token types; 0 where there are none. */
  readonly tokenTypes: ClaimedSize;
  readonly poolerActivation: Activation;
  /** Whether absolute positions are added to the embeddings. */
  readonly hasPositions: boolean;
  readonly relative: Relative | undefined;
  /** Number of terms in the sum of scores: q·k and those by distance that the config names, computed or not. */
  readonly terms: number;
  /** Convolution of version 2 beside the first layer. */
  readonly convolution: { readonly width: number; readonly activation: Activation } | undefined;
  /** Whether the masked-LM head is `cls.predictions`, and not that of the original code. */
  readonly isLegacy: boolean;
}

/** Ways in which distances enter the scores. */
export interface Relative {
  /** Whether queries score distances, and whether keys do. */
  readonly fromQueries: boolean;
  readonly fromKeys: boolean;
  /** Half of the table's rows. */
  readonly span: number;
  /** Number of buckets: distances beyond half of it share logarithmic ones. */
  readonly buckets: number | undefined;
  /** Largest distance; only the buckets depend on it. */
  readonly most: number;
  /** Whether the table has a norm. */
  readonly isNormed: boolean;
  /** Whether distances are projected by the content's own query and key. */
  readonly isShared: boolean;
}

/** Sizes of microsoft/deberta-base and deberta-v2-xlarge, transformers' defaults. */
const DEFAULTS = {
  1: { vocabulary: 50265, hidden: 768, layers: 12, heads: 12, intermediate: 3072 },
  2: { vocabulary: 128100, hidden: 1536, layers: 24, heads: 24, intermediate: 6144 },
} as const;

const TERMS = ['c2p', 'p2c'];

export function readSettings(config: ConfigReader, version: 1 | 2): DebertaSettings {
  const defaults = DEFAULTS[version];
  const hidden = config.size('hidden_size', defaults.hidden);
  const heads = config.size('num_attention_heads', defaults.heads).value;
  const positions = readPlaces(config, 512);
  const named = config.words('pos_att_type') ?? [];
  const isRelative = config.flag('relative_attention', false);
  const unknown = named.find((term) => !TERMS.includes(term));
  if (unknown !== undefined)
    config.refuse('pos_att_type', `"${unknown}" is not supported; supported: ${TERMS.join(', ')}`);
  refuseUnequalHeads(config, 'num_attention_heads', hidden, heads);
  config.demand('pooler_hidden_size', hidden.value, 'the pooler reads hidden states');
  config.demand('talking_head', false, 'heads are mixed before and behind the softmax');
  config.demand('attention_head_size', hidden.value / heads, 'heads that together are not as wide as hidden states');
  return {
    version,
    vocabulary: config.size('vocab_size', defaults.vocabulary),
    embedding: config.size('embedding_size', hidden.value),
    hidden,
    intermediate: config.size('intermediate_size', defaults.intermediate),
    layers: config.size('num_hidden_layers', defaults.layers),
    positions,
    tokenTypes: config.integer('type_vocab_size', 0),
    heads,
    activation: config.choice('hidden_act', ACTIVATIONS, 'gelu'),
    poolerActivation: config.choice('pooler_hidden_act', ACTIVATIONS, 'gelu'),
    epsilon: config.positive('layer_norm_eps', 1e-7),
    isTied: config.flag('tie_word_embeddings', true),
    hasPositions: config.flag('position_biased_input', true),
    relative: isRelative && named.length > 0 ? readRelative(config, version, named, positions.value) : undefined,
    terms: 1 + new Set(named).size,
    convolution: version === 2 ? readConvolution(config) : undefined,
    isLegacy: config.flag('legacy', true),
  };
}

function readRelative(config: ConfigReader, version: 1 | 2, named: readonly string[], positions: number): Relative {
  const stated = config.integer('max_relative_positions', -1).value;
  const most = stated < 1 ? positions : stated;
  const buckets = version === 2 ? config.integer('position_buckets', -1).value : -1;
  if (buckets > 0 && !(buckets >= 2 && most - 1 > Math.floor(buckets / 2))) {
    config.refuse('position_buckets', `${buckets} buckets do not divide distances up to ${most}`);
  }
  const norms = version === 2 ? (config.words('norm_rel_ebd') ?? []).map((norm) => norm.toLowerCase()) : [];
  return {
    fromQueries: named.includes('c2p'),
    fromKeys: named.includes('p2c'),
    span: buckets > 0 ? buckets : most,
    buckets: buckets > 0 ? buckets : undefined,
    most,
    isNormed: norms.includes('layer_norm'),
    isShared: version === 2 && config.flag('share_att_key', false),
  };
}

function readConvolution(config: ConfigReader): DebertaSettings['convolution'] {
  const width = config.integer('conv_kernel_size', 0).value;
  if (width <= 0) return undefined;
  if (width % 2 === 0) config.refuse('conv_kernel_size', `${width} is even: the convolution would change the length`);
  config.demand('conv_groups', 1, 'the convolution mixes all channels');
  return { width, activation: config.choice('conv_act', ACTIVATIONS, 'tanh') };
}
