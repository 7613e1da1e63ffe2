import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS, type Activation, activate } from './activations.ts';
import { type Architecture, COMMON_TASKS, type HeadInput } from './architecture.ts';
import { attendByPlace } from './attention.ts';
import { add, type Builder, embed, firstToken, linear, weight, widthOf } from './builder.ts';
import type { CountClaim, SizeClaim } from './claims.ts';
import { type ClaimedSize, type ConfigReader, refuseUnequalHeads } from './config.ts';
import { readPlaces } from './counted-places.ts';
import { gated } from './gated.ts';
import { addSpans, countLabels } from './heads.ts';
import { localMask } from './local-mask.ts';
import { layerNormWith, linearWith, projectFused } from './parts.ts';
import { firstAttended } from './pooling.ts';
import { readRopeParameters, refuseOddHeads, rotate, rotation, turnByBase } from './rotary.ts';

/**
 * ModernBERT (Warner et al. 2024, https://arxiv.org/abs/2412.13663) as transformers computes it: rotary positions,
 * local attention in most layers, norms before what they belong to, gated units.
 */
export const modernbert: Architecture = {
  modelType: 'modernbert',
  module: 'model',
  takesTokenTypes: false,
  tasks: COMMON_TASKS,
  predictions: 'decoder',
  read(config, _origin, task) {
    const settings = readSettings(config);
    // transformers looks for the first token behind padding on the left for choices alone.
    const first = task === 'multiple-choice' ? firstAttended : firstToken;
    const score = ({ builder, hidden }: HeadInput, classes: number) =>
      linear(builder, 'classifier', head(builder, settings, hidden), classes);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [countClaim(settings, scope)],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool: (builder, _, hidden) => head(builder, settings, pooled(builder, settings, hidden, first)),
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
      heads: {
        qa: (input) => addSpans(input.builder, score(input, 2)),
        'token-classification': (input) => input.builder.graph.output('logits', score(input, countLabels(input))),
      },
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
  readonly headActivation: Activation;
  readonly epsilon: number;
  readonly isTied: boolean;
  /** Parts that have a bias beside their weight. */
  readonly biases: { readonly [P in 'norm' | 'attention' | 'mlp' | 'head' | 'decoder']: boolean };
  readonly pooling: 'cls' | 'mean';
  /** Number of places that a token sees in local attention, to each side. */
  readonly reach: number;
  /** Base of the rotation by kind of attention. */
  readonly bases: { readonly [K in AttentionKind]: number };
  kindOf(layer: number): AttentionKind;
}

type AttentionKind = 'full_attention' | 'sliding_attention';

const KINDS: readonly string[] = ['full_attention', 'sliding_attention'] satisfies AttentionKind[];

const POOLINGS: ReadonlyMap<string, 'cls' | 'mean'> = new Map([
  ['cls', 'cls'],
  ['mean', 'mean'],
]);

/** Reads settings with the defaults of transformers' ModernBertConfig, the sizes of ModernBERT-base. */
function readSettings(config: ConfigReader): Settings {
  const hidden = config.size('hidden_size', 768);
  const heads = config.size('num_attention_heads', 12).value;
  const layers = config.size('num_hidden_layers', 22);
  refuseUnequalHeads(config, 'num_attention_heads', hidden, heads);
  refuseOddHeads(config, 'num_attention_heads', hidden.value / heads);
  return {
    vocabulary: config.size('vocab_size', 50368),
    hidden,
    intermediate: config.size('intermediate_size', 1152),
    layers,
    positions: readPlaces(config, 8192),
    heads,
    activation: config.choice('hidden_activation', ACTIVATIONS, 'gelu'),
    headActivation: config.choice('classifier_activation', ACTIVATIONS, 'gelu'),
    epsilon: config.positive('norm_eps', 1e-5),
    isTied: config.flag('tie_word_embeddings', true),
    biases: {
      norm: config.flag('norm_bias', false),
      attention: config.flag('attention_bias', false),
      mlp: config.flag('mlp_bias', false),
      head: config.flag('classifier_bias', false),
      decoder: config.flag('decoder_bias', true),
    },
    pooling: config.choice('classifier_pooling', POOLINGS, 'cls'),
    reach: readReach(config),
    bases: readBases(config),
    kindOf: readKinds(config, layers.value),
  };
}

/** Reads how far local attention sees to each side; transformers 5 takes `sliding_window`, half of a window, over the window. */
function readReach(config: ConfigReader): number {
  const half = Math.floor(config.size('local_attention', 128).value / 2);
  return config.has('sliding_window') ? config.size('sliding_window', half).value : half;
}

/**
 * Reads the bases of both kinds of attention. Versions before 5 name the two; a local one that is null is the global
 * one.
 */
function readBases(config: ConfigReader): Settings['bases'] {
  config.demand('rope_scaling', null, 'places are turned without scaling');
  const full = config.positive('global_rope_theta', 160_000);
  const local = config.positive('local_rope_theta', config.has('local_rope_theta') ? full : 10_000);
  const parameters = config.object('rope_parameters');
  const baseOf = (kind: AttentionKind, legacy: number) => {
    const own = parameters?.object(kind);
    return own === undefined ? legacy : readRopeParameters(own, legacy);
  };
  return { full_attention: baseOf('full_attention', full), sliding_attention: baseOf('sliding_attention', local) };
}

/** Reads the kind of each layer by name; without names every n-th one is global. */
function readKinds(config: ConfigReader, layers: number): Settings['kindOf'] {
  const every = config.size('global_attn_every_n_layers', 3).value;
  const named = config.words('layer_types');
  if (named === undefined) return (layer) => (layer % every === 0 ? 'full_attention' : 'sliding_attention');
  const unknown = named.find((kind) => !KINDS.includes(kind));
  if (unknown !== undefined)
    config.refuse('layer_types', `"${unknown}" is not supported; supported: ${KINDS.join(', ')}`);
  if (named.length !== layers) config.refuse('layer_types', `names ${named.length} layers of ${layers}`);
  return (layer) => named[layer] as AttentionKind;
}

function countClaim({ layers }: Settings, scope: string): CountClaim {
  return { size: layers, extra: 0, block: 'layer', within: '', before: `${scope}layers.`, marker: 'attn.' };
}

function sizeClaims({ vocabulary, hidden, intermediate }: Settings, scope: string): SizeClaim[] {
  return [
    { size: vocabulary, weight: `${scope}embeddings.tok_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${scope}embeddings.tok_embeddings.weight`, axis: 1 },
    { size: intermediate, weight: `${scope}layers.0.mlp.Wo.weight`, axis: 1 },
  ];
}

function norm(builder: Builder, { epsilon, biases }: Settings, name: string, x: Node): Node {
  return layerNormWith(builder, name, x, epsilon, biases.norm);
}

/** Ways in which layers of one kind know places. */
interface Kind {
  readonly turn: (name: string, x: Node) => Node;
  readonly bias: Node;
}

function encode(builder: Builder, settings: Settings, scope: string): Node {
  const kinds = new Map<AttentionKind, Kind>();
  const kindOf = (layer: number): Kind => {
    const kind = settings.kindOf(layer);
    const made = kinds.get(kind) ?? openKind(builder, settings, `${scope}${kind}`, kind);
    kinds.set(kind, made);
    return made;
  };
  const { vocabulary, hidden } = settings;
  const words = embed(builder, `${scope}embeddings.tok_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  let x = norm(builder, settings, `${scope}embeddings.norm`, words);
  for (let n = 0; n < settings.layers.value; n++) x = layer(builder, settings, `${scope}layers.${n}`, x, n, kindOf(n));
  return norm(builder, settings, `${scope}final_norm`, x);
}

function openKind(builder: Builder, settings: Settings, name: string, kind: AttentionKind): Kind {
  const { hidden, heads, positions, reach, bases } = settings;
  const size = hidden.value / heads;
  const tables = rotation(builder, name, positions.value, size, turnByBase(bases[kind], size));
  const longest = typeof builder.sequence === 'number' ? builder.sequence : positions.value;
  // A window that is as wide as the text leaves nothing out.
  const isLocal = kind === 'sliding_attention' && reach < longest - 1;
  return {
    turn: (path, x) => rotate(builder, path, x, tables),
    bias: isLocal ? localMask(builder, `${name}.mask`, reach) : builder.mask.bias,
  };
}

/** Adds y = x + attention(norm(x)), then y + mlp(norm(y)). The embeddings' norm is also the first layer's. */
function layer(builder: Builder, settings: Settings, name: string, x: Node, n: number, { turn, bias }: Kind): Node {
  const { hidden, intermediate, heads, biases, activation } = settings;
  const width = hidden.value;
  const normed = n === 0 ? x : norm(builder, settings, `${name}.attn_norm`, x);
  const projected = projectFused(builder, `${name}.attn.Wqkv`, normed, { width, heads, hasBias: biases.attention });
  const mixed = attendByPlace(builder, `${name}.attn`, projected, { turn, bias });
  const out = linearWith(builder, `${name}.attn.Wo`, mixed, width, biases.attention);
  const y = add(builder, `${name}.attn_residual`, 'add', [x, out]);

  const inner = intermediate.value;
  const wide = linearWith(
    builder,
    `${name}.mlp.Wi`,
    norm(builder, settings, `${name}.mlp_norm`, y),
    2 * inner,
    biases.mlp,
  );
  const half = (part: string, start: number) =>
    add(builder, `${name}.mlp.${part}`, 'slice', [wide], { axis: -1, start, end: start + inner });
  const act = gated(builder, `${name}.mlp`, half('input', 0), half('value', inner), activation);
  const narrow = linearWith(builder, `${name}.mlp.Wo`, act, width, biases.mlp);
  return add(builder, `${name}.mlp_residual`, 'add', [y, narrow]);
}

/** Adds the vector of the token that is `first`, or the mean of all tokens' but padding's. */
function pooled(builder: Builder, { pooling }: Settings, hidden: Node, first: typeof firstToken): Node {
  if (pooling === 'cls') return first(builder, 'pooled', hidden);
  const { rows, sequence, mask } = builder;
  const ones = add(builder, 'pooled.ones', 'reshape', [mask.ones], { shape: [rows, sequence, 1] });
  const mean = (part: string, x: Node) => add(builder, `pooled.${part}`, 'mean', [x], { axis: 1 });
  const tokens = add(builder, 'pooled.tokens', 'mul', [hidden, ones]);
  const vector = add(builder, 'pooled.vector', 'div', [mean('sum', tokens), mean('count', ones)]);
  return add(builder, 'pooled', 'reshape', [vector], { shape: [rows, widthOf(hidden)] });
}

/** Adds norm(activation(dense(x))), for tokens and for what is pooled of them. */
function head(builder: Builder, settings: Settings, x: Node): Node {
  const dense = linearWith(builder, 'head.dense', x, widthOf(x), settings.biases.head);
  return norm(builder, settings, 'head.norm', activate(builder, 'head', dense, settings.headActivation));
}

function predict(builder: Builder, settings: Settings, scope: string, hidden: Node): Node {
  const { vocabulary, isTied, biases } = settings;
  const x = head(builder, settings, hidden);
  const usesOwn = !isTied || builder.weights.has('decoder.weight');
  const table = usesOwn ? 'decoder.weight' : `${scope}embeddings.tok_embeddings.weight`;
  const matrix = weight(builder, table, [vocabulary.value, widthOf(x)]);
  const bias = biases.decoder ? [weight(builder, 'decoder.bias', [vocabulary.value])] : [];
  return add(builder, 'decoder', 'linear', [x, matrix, ...bias]);
}
