import type { Origin } from '../formats/checkpoint.ts';
import { ACTIVATIONS, type Activation, GOOGLE_ACTIVATIONS } from './activations.ts';

import type { ConfigReader, Size } from './config.ts';

/** What a MobileBERT's config says, whoever wrote it. */
export interface Settings {
  readonly vocabulary: Size;
  readonly embedding: Size;
  readonly hidden: Size;
  /** Between the bottlenecks of a layer; wider than the hidden size in the inverted-bottleneck teacher. */
  readonly bottleneck: Size;
  readonly intermediate: Size;
  readonly layers: Size;
  readonly feedForwards: Size;
  readonly positions: Size;
  readonly tokenTypes: Size;
  readonly heads: number;
  readonly activation: Activation;
  readonly norm: 'layer' | 'none';
  readonly epsilons: Epsilons;
  readonly useBottleneck: boolean;
  readonly useBottleneckAttention: boolean;
  readonly shareKeyQuery: boolean;
  readonly trigram: boolean;
  readonly poolerActivation: boolean;
  readonly isTied: boolean;
}

/** Of LayerNorms; a NoNorm has none. */
interface Epsilons {
  readonly norm: number;
  /** Of the embeddings' norm and of each layer's output.LayerNorm. */
  readonly bare: number;
  /** Of the masked-LM head's norm. */
  readonly head: number;
}

/** What a config leaves unsaid. */
interface Defaults {
  readonly hidden: number;
  /** Undefined: as the hidden size. */
  readonly embedding: number | undefined;
  readonly bottleneck: number | undefined;
  readonly intermediate: number;
  readonly layers: number;
  readonly feedForwards: number;
  readonly tokenTypes: number;
  readonly heads: number;
  readonly activation: string;
  readonly norm: string;
  readonly isMobile: boolean;
}

/** transformers' MobileBertConfig: the sizes of mobilebert-uncased. */
const TRANSFORMERS: Defaults = {
  hidden: 512,
  embedding: 128,
  bottleneck: 128,
  intermediate: 512,
  layers: 24,
  feedForwards: 4,
  tokenTypes: 2,
  heads: 4,
  activation: 'relu',
  norm: 'no_norm',
  isMobile: true,
};

/** BertConfig of google-research's mobilebert/modeling.py: the sizes of bert-base, every option off. */
const GOOGLE: Defaults = {
  hidden: 768,
  embedding: undefined,
  bottleneck: undefined,
  intermediate: 3072,
  layers: 12,
  feedForwards: 1,
  tokenTypes: 16,
  heads: 12,
  activation: 'gelu',
  norm: 'layer_norm',
  isMobile: false,
};

/** tf.contrib's layer_norm, and what every published config.json has as layer_norm_eps. */
const TF_EPSILON = 1e-12;

/**
 * torch's LayerNorm default. Two of transformers' norms in PyTorch are built without config.layer_norm_eps:
 * embeddings.LayerNorm and each layer's output.LayerNorm.
 */
const TORCH_EPSILON = 1e-5;

/** modeling.py's manual_layer_norm; its masked-LM head has tf.contrib's norm nevertheless. */
const MANUAL_EPSILON = 1e-6;

type Norm = 'layer' | 'none' | 'manual';
const NORMS: ReadonlyMap<string, Norm> = new Map([
  ['no_norm', 'none'],
  ['layer_norm', 'layer'],
]);
const GOOGLE_NORMS: ReadonlyMap<string, Norm> = new Map([...NORMS, ['manual_layer_norm', 'manual']]);

export function readSettings(config: ConfigReader, origin: Origin): Settings {
  const isGoogle = origin === 'google';
  const defaults = isGoogle ? GOOGLE : TRANSFORMERS;
  const hidden = config.size('hidden_size', defaults.hidden);
  const norm = config.choice('normalization_type', isGoogle ? GOOGLE_NORMS : NORMS, defaults.norm);
  const settings: Settings = {
    vocabulary: config.size('vocab_size', 30522),
    embedding: config.size('embedding_size', defaults.embedding ?? hidden.value),
    hidden,
    bottleneck: config.size('intra_bottleneck_size', defaults.bottleneck ?? hidden.value),
    intermediate: config.size('intermediate_size', defaults.intermediate),
    layers: config.size('num_hidden_layers', defaults.layers),
    feedForwards: config.size('num_feedforward_networks', defaults.feedForwards),
    positions: config.size('max_position_embeddings', 512),
    tokenTypes: config.size('type_vocab_size', defaults.tokenTypes),
    heads: config.size('num_attention_heads', defaults.heads).value,
    activation: config.choice('hidden_act', isGoogle ? GOOGLE_ACTIVATIONS : ACTIVATIONS, defaults.activation),
    norm: norm === 'none' ? 'none' : 'layer',
    epsilons: epsilonsOf(norm, origin, config.positive('layer_norm_eps', TF_EPSILON)),
    useBottleneck: config.flag('use_bottleneck', defaults.isMobile),
    useBottleneckAttention: config.flag('use_bottleneck_attention', false),
    shareKeyQuery: config.flag('key_query_shared_bottleneck', defaults.isMobile),
    trigram: config.flag('trigram_input', defaults.isMobile),
    poolerActivation: config.flag('classifier_activation', true),
    isTied: config.flag('tie_word_embeddings', true),
  };
  const inner = innerSize(settings);
  if (inner.value % settings.heads !== 0) {
    config.refuse('num_attention_heads', `${inner.key} ${inner.value} is not divisible by ${settings.heads} heads`);
  }
  if (settings.embedding.value > settings.hidden.value) {
    config.refuse('embedding_size', `${settings.embedding.value} is more than hidden_size ${settings.hidden.value}`);
  }
  return settings;
}

function epsilonsOf(norm: Norm, origin: Origin, configured: number): Epsilons {
  if (origin === 'torch') return { norm: configured, bare: TORCH_EPSILON, head: configured };
  if (origin === 'keras') return { norm: configured, bare: configured, head: configured };
  const epsilon = norm === 'manual' ? MANUAL_EPSILON : TF_EPSILON;
  return { norm: epsilon, bare: epsilon, head: TF_EPSILON };
}

/** transformers' true_hidden_size: the width inside a layer. */
export function innerSize({ useBottleneck, bottleneck, hidden }: Settings): Size {
  return useBottleneck ? bottleneck : hidden;
}
