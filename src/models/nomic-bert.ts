import type { JsonValue } from '../formats/json.ts';
import type { Node } from '../ir/graph.ts';
import { ACTIVATIONS, type Activation } from './activations.ts';
import type { Architecture } from './architecture.ts';
import { attendByPlace } from './attention.ts';
import { pool } from './bert.ts';
import { add, addTokenTypes, type Builder, embed, layerNorm, widthOf } from './builder.ts';
import type { SizeClaim } from './claims.ts';
import type { ConfigReader } from './config.ts';
import { refuseFar } from './counted-places.ts';
import { predictWords } from './decoder.ts';
import { gated } from './gated.ts';
import { linearWith, projectFused } from './parts.ts';
import { type Rotation, readHeadSize, readRope, rotate, rotation, type TurnedSettings, turnByBase } from './rotary.ts';

/**
 * NomicBERT (Nussbaum et al. 2024, https://arxiv.org/abs/2402.01613) as transformers computes it: BERT with turned
 * places, gated units and no biases in its layers.
 */
export const nomicBert: Architecture = {
  modelType: 'nomic_bert',
  module: 'nomic_bert',
  formerModule: 'bert',
  takesTokenTypes: true,
  tasks: ['features', 'sequence-classification', 'token-classification', 'masked-lm'],
  predictions: 'cls.predictions',
  read(config) {
    const settings = readSettings(config);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [
        {
          size: settings.layers,
          extra: 0,
          block: 'encoder layer',
          within: '',
          before: `${scope}encoder.layers.`,
          marker: 'attn.',
        },
      ],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool,
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden),
    };
  },
};

/** Reads settings with the defaults of transformers' NomicBertConfig, the sizes of nomic-embed-text-v1.5. */
function readSettings(config: ConfigReader): TurnedSettings {
  // Configs of before transformers 5 are those of the model's own code, which has switches of its own.
  const key = (name: string, original: string) => (config.has(original) ? original : name);
  for (const [switched, allowed] of ORIGINAL_SWITCHES)
    config.demand(switched, allowed, 'transformers has no such switch');
  const hidden = config.size(key('hidden_size', 'n_embd'), 768);
  const heads = config.size(key('num_attention_heads', 'n_head'), 12).value;
  const size = readHeadSize(config, hidden.value, heads);
  const base = readRope(config, 1000);
  const positions = config.size(key('max_position_embeddings', 'n_positions'), 2048);
  refuseFar(config, positions);
  return {
    vocabulary: config.size('vocab_size', 30528),
    hidden,
    intermediate: config.size(key('intermediate_size', 'n_inner'), 3072),
    layers: config.size(key('num_hidden_layers', 'n_layer'), 12),
    positions,
    tokenTypes: config.size('type_vocab_size', 2),
    heads,
    size,
    activation: config.choice(key('hidden_act', 'activation_function'), GATES, 'silu'),
    epsilon: config.positive(key('layer_norm_eps', 'layer_norm_epsilon'), 1e-12),
    isTied: config.flag('tie_word_embeddings', true),
    base: config.positive('rotary_emb_base', base),
  };
}

/** Activations by name; the original code names one after the unit. */
const GATES: ReadonlyMap<string, Activation> = new Map([...ACTIVATIONS, ['swiglu', 'silu']]);

const ORIGINAL_SWITCHES: readonly (readonly [key: string, allowed: JsonValue])[] = [
  ['prenorm', false],
  ['parallel_block', false],
  ['causal', false],
  ['use_rms_norm', false],
  ['qkv_proj_bias', false],
  ['mlp_fc1_bias', false],
  ['mlp_fc2_bias', false],
  ['rotary_emb_fraction', 1],
  ['rotary_emb_interleaved', false],
  ['rotary_emb_scale_base', null],
  ['rotary_scaling_factor', null],
];

function sizeClaims({ vocabulary, hidden, tokenTypes, intermediate }: TurnedSettings, scope: string): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: hidden, weight: `${embeddings}word_embeddings.weight`, axis: 1 },
    { size: tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: intermediate, weight: `${scope}encoder.layers.0.mlp.fc11.weight`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: TurnedSettings, scope: string): Node {
  const { vocabulary, hidden, tokenTypes, epsilon, layers, positions, size, base } = settings;
  const name = `${scope}embeddings`;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, hidden.value);
  let x = layerNorm(builder, `${scope}emb_ln`, addTokenTypes(builder, name, words, tokenTypes.value), epsilon);
  const tables = rotation(builder, `${scope}rotary`, positions.value, size, turnByBase(base, size));
  for (let n = 0; n < layers.value; n++) x = layer(builder, settings, `${scope}encoder.layers.${n}`, x, tables);
  return x;
}

function layer(builder: Builder, settings: TurnedSettings, name: string, x: Node, tables: Rotation): Node {
  const { hidden, intermediate, heads, size, activation, epsilon } = settings;
  const projected = projectFused(builder, `${name}.attn.Wqkv`, x, { width: heads * size, heads, hasBias: false });
  const mixed = attendByPlace(builder, `${name}.attn`, projected, {
    turn: (path, y) => rotate(builder, path, y, tables),
  });
  const out = linearWith(builder, `${name}.attn.out_proj`, mixed, hidden.value, false);
  const y = layerNorm(builder, `${name}.norm1`, add(builder, `${name}.attn_residual`, 'add', [out, x]), epsilon);
  const wide = (part: string) => linearWith(builder, `${name}.mlp.${part}`, y, intermediate.value, false);
  const act = gated(builder, `${name}.mlp`, wide('fc12'), wide('fc11'), activation);
  const narrow = linearWith(builder, `${name}.mlp.fc2`, act, hidden.value, false);
  return layerNorm(builder, `${name}.norm2`, add(builder, `${name}.mlp_residual`, 'add', [narrow, y]), epsilon);
}

function predict(builder: Builder, settings: TurnedSettings, scope: string, hidden: Node): Node {
  const { vocabulary, activation, epsilon, isTied } = settings;
  const transform = 'cls.predictions.transform';
  return predictWords(builder, scope, hidden, {
    name: 'cls.predictions',
    transform,
    norm: builder.weights.has(`${transform}.LayerNorm.weight`) ? 'LayerNorm' : 'layer_norm',
    decoder: 'cls.predictions.decoder',
    vocabulary: vocabulary.value,
    width: widthOf(hidden),
    activation,
    epsilon,
    isTied,
  });
}
