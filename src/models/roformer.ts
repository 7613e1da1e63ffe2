import type { Node } from '../ir/graph.ts';
import { pickStoredColumns } from '../ir/picked-tensors.ts';
import { readF32 } from '../ir/tensor.ts';
import { type Architecture, COMMON_TASKS, type Task } from './architecture.ts';
import { attendByPlace } from './attention.ts';
import {
  BERT_BASE,
  type BertDefaults,
  type BertSettings,
  feedForward,
  normedSum,
  predict,
  readSettings,
} from './bert.ts';
import { add, addTokenTypes, type Builder, embed, layerNorm, linear, scalar, weight, widthOf } from './builder.ts';
import { layerClaim, type SizeClaim } from './claims.ts';
import type { ClaimedSize, ConfigReader } from './config.ts';
import { refuseFar } from './counted-places.ts';
import { denseClassifier } from './heads.ts';
import { partLinear, range } from './parts.ts';
import { type Rotation, refuseOddHeads, rotate, rotation } from './rotary.ts';

/**
 * RoFormer (Su et al. 2021, https://arxiv.org/abs/2104.09864) as transformers computes it: BERT whose places are turns
 * of neighbouring channels.
 */
export const roformer: Architecture = {
  modelType: 'roformer',
  module: 'roformer',
  takesTokenTypes: true,
  tasks: COMMON_TASKS,
  predictions: 'cls.predictions',
  headWeights: new Map([['classifier.out_proj.weight', 'sequence-classification']]),
  read(config, _origin, task) {
    const settings = readRoformerSettings(config, task);
    return {
      maxPositions: settings.positions.value,
      mask: 'added',
      sizes: (scope) => sizeClaims(settings, scope),
      counts: (scope) => [layerClaim(settings.layers, `${scope}encoder.layer.`)],
      encode: (builder, scope) => encode(builder, settings, scope),
      pool: (builder, _, hidden) => lastToken(builder, hidden),
      pooler: undefined,
      predict: (builder, scope, hidden) => predict(builder, settings, scope, hidden, settings.embedding.value),
      heads: { 'sequence-classification': denseClassifier(settings.activation) },
    };
  },
};

interface Settings extends BertSettings {
  readonly embedding: ClaimedSize;
  readonly turnsValues: boolean;
}

/** Defaults of transformers' RoFormerConfig: the sizes of roformer_chinese_base. */
const DEFAULTS: BertDefaults = { ...BERT_BASE, vocabulary: 50000, positions: 1536 };

function readRoformerSettings(config: ConfigReader, task: Task): Settings {
  const settings = readSettings(config, DEFAULTS);
  const { hidden, heads } = settings;
  refuseFar(config, settings.positions);
  refuseOddHeads(config, 'num_attention_heads', hidden.value / heads);
  if (task === 'multiple-choice') {
    config.demand('summary_type', 'last', 'multiple choice reads the last token');
    config.demand('summary_use_proj', false, 'multiple choice reads the last token as it is');
    config.demand('summary_activation', null, 'multiple choice reads the last token as it is');
  }
  return {
    ...settings,
    embedding: config.size('embedding_size', hidden.value),
    turnsValues: config.flag('rotary_value', false),
  };
}

function sizeClaims(
  { vocabulary, embedding, positions, tokenTypes, intermediate }: Settings,
  scope: string,
): SizeClaim[] {
  const embeddings = `${scope}embeddings.`;
  return [
    { size: vocabulary, weight: `${embeddings}word_embeddings.weight`, axis: 0 },
    { size: embedding, weight: `${embeddings}word_embeddings.weight`, axis: 1 },
    { size: tokenTypes, weight: `${embeddings}token_type_embeddings.weight`, axis: 0 },
    { size: positions, weight: `${scope}encoder.embed_positions.weight`, axis: 0 },
    { size: intermediate, weight: `${scope}encoder.layer.0.intermediate.dense.bias`, axis: 0 },
  ];
}

function encode(builder: Builder, settings: Settings, scope: string): Node {
  const { embedding, hidden, layers, epsilon, vocabulary, tokenTypes } = settings;
  const name = `${scope}embeddings`;
  const words = embed(builder, `${name}.word_embeddings`, builder.tokenIds, vocabulary.value, embedding.value);
  let x = layerNorm(builder, `${name}.LayerNorm`, addTokenTypes(builder, name, words, tokenTypes.value), epsilon);
  if (embedding.value !== hidden.value) x = linear(builder, `${scope}embeddings_project`, x, hidden.value);
  const tables = places(builder, settings, `${scope}encoder.embed_positions`);
  for (let n = 0; n < layers.value; n++) x = layer(builder, settings, `${scope}encoder.layer.${n}`, x, tables);
  return x;
}

/** Turns from the table [places, size] that files hold, sines before cosines, or as it is made where they do not. */
function places(builder: Builder, { positions, hidden, heads }: Settings, name: string): Rotation {
  const size = hidden.value / heads;
  const half = size / 2;
  const stored = `${name}.weight`;
  if (!builder.weights.has(stored)) {
    return rotation(builder, name, positions.value, size, (place, pair) => {
      const angle = place / 10000 ** ((2 * pair) / size);
      return [Math.cos(angle), Math.sin(angle)];
    });
  }
  const table = builder.weights.take(stored, [positions.value, size]);
  let values: Float32Array | undefined;
  return rotation(builder, name, positions.value, size, (place, pair) => {
    values ??= readF32(table);
    return [values[place * size + half + pair] as number, values[place * size + pair] as number];
  });
}

/**
 * Order of channels with all even ones of a head first. Channels 2i and 2i + 1 turn together; in this order of queries
 * and keys halves change places and not neighbours, and products of both are the same. Values have it too where they
 * turn, with the columns of what reads them.
 */
function evenFirst(heads: number, size: number): number[] {
  return range(0, heads).flatMap((head) => {
    const pairs = range(0, size / 2).map((pair) => head * size + 2 * pair);
    return [...pairs, ...pairs.map((even) => even + 1)];
  });
}

function layer(builder: Builder, settings: Settings, name: string, x: Node, tables: Rotation): Node {
  const { heads, epsilon, turnsValues, hidden } = settings;
  const width = hidden.value;
  const attention = `${name}.attention`;
  const order = evenFirst(heads, width / heads);
  const project = (part: string) =>
    partLinear(
      builder,
      { name: `${attention}.self.${part}`, part: 'even_first', of: width, rows: order, hasBias: true },
      x,
    );
  const mixed = attendByPlace(
    builder,
    `${attention}.self`,
    {
      query: project('query'),
      key: project('key'),
      value: turnsValues ? project('value') : linear(builder, `${attention}.self.value`, x, width),
      heads,
    },
    { turn: (path, y) => rotate(builder, path, y, tables), turnsValues },
  );
  const dense = `${attention}.output.dense`;
  const out = turnsValues ? ofEvenFirst(builder, dense, mixed, order) : linear(builder, dense, mixed, width);
  const y = normedSum(builder, `${attention}.output`, out, x, epsilon);
  return normedSum(builder, `${name}.output`, feedForward(builder, settings, name, y), y, epsilon);
}

/** Adds a linear of values whose channels are in another order. */
function ofEvenFirst(builder: Builder, name: string, x: Node, order: readonly number[]): Node {
  const width = widthOf(x);
  const stored = builder.weights.take(`${name}.weight`, [width, width]);
  const matrix = builder.graph.constant(pickStoredColumns(stored, order), `${name}.even_first.weight`);
  return add(builder, name, 'linear', [x, matrix, weight(builder, `${name}.bias`, [width])]);
}

/**
 * Adds the last place's vector [rows, hidden], padding or not, as the sequence summary takes it. Where the length is
 * known to the run alone, the last place is the one that none follows; the mean over all places leaves it divided by
 * their number.
 */
function lastToken(builder: Builder, hidden: Node): Node {
  const { rows, sequence, mask } = builder;
  const node = (part: string, op: 'add' | 'sub' | 'mul' | 'div', a: Node, b: Node) =>
    add(builder, `last_token.${part}`, op, [a, b]);
  const number = (value: number, part: string) => scalar(builder, `last_token.${part}`, value);
  const mean = (part: string, x: Node) => add(builder, `last_token.${part}`, 'mean', [x], { axis: 1 });
  const places = node('places', 'add', node('zeros', 'mul', mask.ones, number(0, 'zero')), number(1, 'one'));
  const followed = add(builder, 'last_token.followed', 'shift', [places], { axis: 1, offset: 1 });
  const isLast = add(builder, 'last_token.is_last', 'reshape', [node('unfollowed', 'sub', places, followed)], {
    shape: [rows, sequence, 1],
  });
  const vector = node('vector', 'div', mean('sum', node('only', 'mul', hidden, isLast)), mean('share', isLast));
  return add(builder, 'last_token', 'reshape', [vector], { shape: [rows, widthOf(hidden)] });
}
