import type { Call, Constant, Graph, Node } from '../graph.ts';
import type { AttrsOf, OpName } from '../ops/index.ts';
import { type Dim, product } from '../shape.ts';
import { scalarTensor } from '../tensor.ts';
import type { Weights } from './weights.ts';

/** How hidden sizes meet activations: what `hidden_act` names. */
export type Activation = 'relu' | 'gelu' | 'gelu-tanh';

/** transformers' names (ACT2FN); gelu_fast and gelu_new spell one formula in two ways. */
export const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ['relu', 'relu'],
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['gelu_new', 'gelu-tanh'],
  ['gelu_fast', 'gelu-tanh'],
  ['gelu_pytorch_tanh', 'gelu-tanh'],
]);

/** What every layer of a model under construction needs. Values are [rows, sequence, hidden]. */
export interface Builder {
  readonly graph: Graph;
  readonly weights: Weights;
  /** The sequences of a run: the batch, times the choices where there are several for each. */
  readonly rows: Dim;
  readonly sequence: Dim;
  /** [rows, sequence], integers. */
  readonly tokenIds: Node;
  readonly tokenTypes: Node | undefined;
  /** Added to attention scores: 0 for a token, very negative for padding; [rows, 1, 1, sequence]. */
  readonly attentionBias: Node;
  /** One node for each weight, however often it is used: tied embeddings stay tied. */
  readonly constants: Map<string, Constant>;
}

/** A node under its module's path. */
export function add<O extends OpName>(
  { graph }: Builder,
  name: string,
  op: O,
  inputs: readonly Node[],
  attrs?: Partial<AttrsOf<O>>,
): Call<O> {
  return graph.add(op, inputs, attrs, name);
}

export function weight({ graph, weights, constants }: Builder, name: string, shape: readonly number[]): Constant {
  const known = constants.get(name);
  if (known !== undefined) return known;
  const constant = graph.constant(weights.take(name, shape), name);
  constants.set(name, constant);
  return constant;
}

/** W x + b with `name.weight` [out, in] and `name.bias` [out]; in is the last axis of x. */
export function linear(builder: Builder, name: string, x: Node, out: number): Node {
  const matrix = weight(builder, `${name}.weight`, [out, widthOf(x)]);
  return add(builder, name, 'linear', [x, matrix, weight(builder, `${name}.bias`, [out])]);
}

export function layerNorm(builder: Builder, name: string, x: Node, epsilon: number): Node {
  const shape = [widthOf(x)];
  const gamma = weight(builder, `${name}.weight`, shape);
  return add(builder, name, 'layerNorm', [x, gamma, weight(builder, `${name}.bias`, shape)], { epsilon });
}

export function noNorm(builder: Builder, name: string, x: Node): Node {
  const shape = [widthOf(x)];
  const gamma = weight(builder, `${name}.weight`, shape);
  return add(builder, name, 'noNorm', [x, gamma, weight(builder, `${name}.bias`, shape)]);
}

/** Named after the activation, beside the module `name` whose output it takes. */
export function activate(builder: Builder, name: string, x: Node, activation: Activation): Node {
  if (activation === 'relu') return add(builder, `${name}.relu`, 'relu', [x]);
  return add(builder, `${name}.gelu`, 'gelu', [x], { tanh: activation === 'gelu-tanh' });
}

/** Rows of `name.weight` [count, width] by ids [rows, sequence]. */
export function embed(builder: Builder, name: string, ids: Node, count: number, width: number): Node {
  return add(builder, name, 'gather', [weight(builder, `${name}.weight`, [count, width]), ids], { axis: 0 });
}

/** The embeddings of positions 0, 1, …, of which `name.weight` [count, width] has one a row: [sequence, width]. */
export function embedPositions(builder: Builder, name: string, count: number, width: number): Node {
  const table = weight(builder, `${name}.weight`, [count, width]);
  return add(builder, name, 'slice', [table], { axis: 0, start: 0, end: builder.sequence });
}

/** The first token's vector, as poolers take it: [rows, hidden]. */
export function firstToken(builder: Builder, name: string, x: Node): Node {
  const first = add(builder, `${name}.slice`, 'slice', [x], { axis: 1, start: 0, end: 1 });
  return add(builder, name, 'reshape', [first], { shape: [builder.rows, widthOf(x)] });
}

/** Projected queries, keys and values, each [rows, sequence, heads · size]. */
export interface Attention {
  readonly query: Node;
  readonly key: Node;
  readonly value: Node;
  readonly heads: number;
}

/** softmax(Q Kᵀ / sqrt(size) + bias) V in every head, joined again: [rows, sequence, heads · size]. */
export function attend(builder: Builder, name: string, { query, key, value, heads }: Attention): Node {
  const { rows, sequence } = builder;
  const width = widthOf(query);
  const size = width / heads;
  const split = (part: string, x: Node) => {
    const apart = add(builder, `${name}.${part}.split`, 'reshape', [x], { shape: [rows, sequence, heads, size] });
    return add(builder, `${name}.${part}.heads`, 'transpose', [apart], { permutation: [0, 2, 1, 3] });
  };
  const products = add(builder, `${name}.products`, 'matmul', [split('query', query), split('key', key)], {
    transposeB: true,
  });
  const scale = builder.graph.constant(scalarTensor(1 / Math.sqrt(size)), `${name}.scale`);
  const scores = add(builder, `${name}.scores`, 'mul', [products, scale]);
  const masked = add(builder, `${name}.masked`, 'add', [scores, builder.attentionBias]);
  const probabilities = add(builder, `${name}.probabilities`, 'softmax', [masked], { axis: -1 });
  const mixed = add(builder, `${name}.mixed`, 'matmul', [probabilities, split('value', value)]);
  const together = add(builder, `${name}.join`, 'transpose', [mixed], { permutation: [0, 2, 1, 3] });
  return add(builder, name, 'reshape', [together], { shape: [rows, sequence, width] });
}

/**
 * 0 for a token and -10000 for padding, from attention_mask [rows, sequence] of ones and zeros. transformers adds the
 * smallest float instead; e^(x - 10000) is 0 in f32 as well, so both give the same unless a whole row is padding, and
 * -10000 fits f16.
 */
export function attentionBias(graph: Graph, mask: Node, rows: Dim, sequence: Dim): Node {
  const name = 'attention_bias';
  const ones = graph.add('cast', [mask], { to: 'f32' }, `${name}.mask`);
  const padding = graph.add('sub', [graph.constant(scalarTensor(1), `${name}.one`), ones], {}, `${name}.padding`);
  const scaled = graph.add(
    'mul',
    [padding, graph.constant(scalarTensor(-10000), `${name}.least`)],
    {},
    `${name}.scaled`,
  );
  return graph.add('reshape', [scaled], { shape: [rows, 1, 1, sequence] }, name);
}

/** `[batch, choices, sequence]` as `[batch*choices, sequence]`. */
export function joinChoices(graph: Graph, x: Node): Node {
  const [batch, choices, sequence] = x.type.shape as readonly [Dim, Dim, Dim];
  return graph.add('reshape', [x], { shape: [product([batch, choices]), sequence] }, `${x.name}.rows`);
}

/** The last axis, which is always a number: models are built with symbolic batch and sequence only. */
export function widthOf(x: Node): number {
  return x.type.shape.at(-1) as number;
}
