import type { Origin } from '../formats/checkpoint.ts';
import { ACTIVATIONS, type Activation, GOOGLE_ACTIVATIONS } from './activations.ts';
import { type ClaimedSize, type ConfigReader, refuseUnequalHeads } from './config.ts';

/** Settings of a MobileBERT's config, whoever wrote it. */
export interface MobileBertSettings {
  readonly vocabulary: ClaimedSize;
  readonly embedding: ClaimedSize;
  readonly hidden: ClaimedSize;
  /** Width between the bottlenecks of a layer; wider than the hidden size in the inverted-bottleneck teacher. */
  readonly bottleneck: ClaimedSize;
  readonly intermediate: ClaimedSize;
  readonly layers: ClaimedSize;
  readonly feedForwards: ClaimedSize;
  readonly positions: ClaimedSize;
  readonly tokenTypes: ClaimedSize;
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

/** Epsilons of LayerNorms; a NoNorm has none. */
interface Epsilons {
  readonly norm: number;
  /** Epsilon of the embeddings' norm and of each layer's output.LayerNorm. */
  readonly bare: number;
  /** Epsilon of the masked-LM head's norm. */
  readonly head: number;
}

/** Values that a config leaves unsaid. */
interface Defaults {
  readonly hidden: number;
  /** Width of word embeddings; left undefined, it is the hidden size. */
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

/** Defaults of transformers' MobileBertConfig: the sizes of mobilebert-uncased. */
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

/** Defaults of BertConfig in google-research's mobilebert/modeling.py: the sizes of bert-base, every option off. */
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

/** Epsilon of tf.contrib's layer_norm, and of every published config.json's layer_norm_eps. */
const TF_EPSILON = 1e-12;

/**
 * Default epsilon of torch's LayerNorm. Two of transformers' norms in PyTorch are built without config.layer_norm_eps:
 * embeddings.LayerNorm and each layer's output.LayerNorm.
 */
const TORCH_EPSILON = 1e-5;

/** Epsilon of modeling.py's manual_layer_norm; its masked-LM head has tf.contrib's norm nevertheless. */
const MANUAL_EPSILON = 1e-6;

type Norm = 'layer' | 'none' | 'manual';
const NORMS: ReadonlyMap<string, Norm> = new Map([
  ['no_norm', 'none'],
  ['layer_norm', 'layer'],
]);
const GOOGLE_NORMS: ReadonlyMap<string, Norm> = new Map([...NORMS, ['manual_layer_norm', 'manual']]);

export function readSettings(config: ConfigReader, origin: Origin): MobileBertSettings {
  const isGoogle = origin === 'google';
  const defaults = isGoogle ? GOOGLE : TRANSFORMERS;
  const hidden = config.size('hidden_size', defaults.hidden);
  const norm = config.choice('normalization_type', isGoogle ? GOOGLE_NORMS : NORMS, defaults.norm);
  const settings: MobileBertSettings = {
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
  refuseUnequalHeads(config, 'num_attention_heads', innerSize(settings), settings.heads);
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

/** Width inside a layer, transformers' true_hidden_size. */
export function innerSize({ useBottleneck, bottleneck, hidden }: MobileBertSettings): ClaimedSize {
  return useBottleneck ? bottleneck : hidden;
}
