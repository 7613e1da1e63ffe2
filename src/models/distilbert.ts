import type { Node } from '../ir/graph.ts';
import { type Tensor, tensorOf } from '../ir/tensor.ts';
import { ACTIVATIONS, type Activation, activate } from './activations.ts';
import { type Architecture, COMMON_TASKS } from './architecture.ts';
import {
  add,
  attend,
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
import { type ClaimedSize, type ConfigReader, refuseUnequalHeads } from './config.ts';
import { decoderWeight } from './decoder.ts';

/**
 * DistilBERT (Sanh et al. 2019, https://arxiv.org/abs/1910.01108) as transformers computes it: no token types, no
 * pooler.
 */
export const distilbert: Architecture = {
  modelType: 'distilbert',
  module: 'distilbert',
  takesTokenTypes: false,
  tasks: COMMON_TASKS,
  predictions: 'vocab_projector',
  read(config) {
    const settings = readSettings(config);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [layerClaim(settings.layers, `${scope}transformer.layer.`)],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool,
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    };
  },
};

interface Settings {
  readonly vocabulary: ClaimedSize;
  readonly hidden: ClaimedSize;
  readonly intermediate: ClaimedSize;
  readonly layers: ClaimedSize;
  readonly positions: ClaimedSize;
  readonly heads: number;
  readonly activation: Activation;
  readonly isTied: boolean;
  /** Whether positions are waves, which are computed where a file has no table of them. */
  readonly isSinusoidal: boolean;
}

/** Epsilon of all norms: transformers' DistilBERT has no key for it. */
const EPSILON = 1e-12;

/** Reads settings with the defaults of transformers' DistilBertConfig, distilbert-base-uncased's. */
function readSettings(config: ConfigReader): Settings {
  const settings: Settings = {
    vocabulary: config.size('vocab_size', 30522),
    hidden: config.size('dim', 768),
    intermediate: config.size('hidden_dim', 3072),
    layers: config.size('n_layers', 6),
    positions: config.size('max_position_embeddings', 512),
    heads: config.size('n_heads', 12).value,
    activation: config.choice('activation', ACTIVATIONS, 'gelu'),
    isTied: config.flag('tie_word_embeddings', true),
    isSinusoidal: config.flag('sinusoidal_pos_embds', false),
  };
  refuseUnequalHeads(config, 'n_heads', settings.hidden, settings.heads);
  return settings;
}

function sizeClaims({ vocabulary, hidden, positions, intermediate }: Settings, scope: string): SizeClaim[] {
  return [
    { size: vocabulary, weight: `${scope}embeddings.word_embeddings.weight`, axis: 0 },
    { size: positions, weight: `${scope}embeddings.position_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${scope}embeddings.position_embeddings.weight`, axis: 1 },
    { size: intermediate, weight: `${scope}transformer.layer.0.ffn.lin1.bias`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: Settings, scope: string): Node {
  const { vocabulary, hidden, layers } = settings;
  const embeddings = `${scope}embeddings`;
  const words = embed(builder, `${embeddings}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  const places = embedPlaces(builder, settings, `${embeddings}.position_embeddings`);
  const sum = add(builder, `${embeddings}.add_positions`, 'add', [words, places]);
  let x = layerNorm(builder, `${embeddings}.LayerNorm`, sum, EPSILON);
  for (let n = 0; n < layers.value; n++) x = layer(builder, settings, `${scope}transformer.layer.${n}`, x);
  return x;
}

function embedPlaces(builder: Builder, { positions, hidden, isSinusoidal }: Settings, name: string): Node {
  const [count, width] = [positions.value, hidden.value];
  if (!isSinusoidal || builder.weights.has(`${name}.weight`)) return embedPositions(builder, name, count, width);
  const table = builder.graph.constant(sinusoids(count, width), `${name}.weight`);
  return add(builder, name, 'slice', [table], { axis: 0, start: 0, end: builder.sequence });
}

/** Table whose row p holds sin and cos of p / 10000^(2i / width) by turns. */
function sinusoids(count: number, width: number): Tensor {
  const values = Float32Array.from({ length: count * width }, (_, at) => {
    const column = at % width;
    const angle = Math.floor(at / width) / 10000 ** ((2 * Math.floor(column / 2)) / width);
    return column % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
  return tensorOf('f32', [count, width], values);
}

function layer(builder: Builder, { hidden, intermediate, heads, activation }: Settings, name: string, x: Node): Node {
  const attention = `${name}.attention`;
  const mixed = attend(builder, attention, {
    query: linear(builder, `${attention}.q_lin`, x, hidden.value),
    key: linear(builder, `${attention}.k_lin`, x, hidden.value),
    value: linear(builder, `${attention}.v_lin`, x, hidden.value),
    heads,
  });
  const out = linear(builder, `${attention}.out_lin`, mixed, hidden.value);
  const y = layerNorm(builder, `${name}.sa_layer_norm`, add(builder, `${name}.sa_residual`, 'add', [out, x]), EPSILON);
  const wide = linear(builder, `${name}.ffn.lin1`, y, intermediate.value);
  const narrow = linear(builder, `${name}.ffn.lin2`, activate(builder, `${name}.ffn`, wide, activation), hidden.value);
  const sum = add(builder, `${name}.output_residual`, 'add', [narrow, y]);
  return layerNorm(builder, `${name}.output_layer_norm`, sum, EPSILON);
}

/** Adds relu(pre_classifier(first token)); the encoder itself has no pooler. */
function pool(builder: Builder, scope: string, hidden: Node): Node {
  const first = firstToken(builder, `${scope}first_token`, hidden);
  const dense = linear(builder, 'pre_classifier', first, widthOf(first));
  return activate(builder, 'pre_classifier', dense, 'relu');
}

function predict(builder: Builder, { vocabulary, activation, isTied }: Settings, scope: string, hidden: Node): Node {
  const dense = linear(builder, 'vocab_transform', hidden, widthOf(hidden));
  const x = layerNorm(builder, 'vocab_layer_norm', activate(builder, 'vocab_transform', dense, activation), EPSILON);
  const matrix = decoderWeight(builder, 'vocab_projector', { isTied, scope }, [vocabulary.value, widthOf(x)]);
  const bias = weight(builder, 'vocab_projector.bias', [vocabulary.value]);
  return add(builder, 'vocab_projector', 'linear', [x, matrix, bias]);
}
