import type { Call, Constant, Graph, Node } from '../graph.ts';
import type { AttrsOf, OpName } from '../ops/index.ts';
import { type Dim, product } from '../shape.ts';
import { scalarTensor } from '../tensor.ts';
import type { Weights } from './weights.ts';

/** How hidden sizes meet activations: what `hidden_act` names. */
export type Activation = 'relu' | 'relu6' | 'gelu' | 'gelu-tanh';

/** transformers' names (ACT2FN); gelu_fast and gelu_new spell one formula in two ways. */
export const ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ['relu', 'relu'],
  ['gelu', 'gelu'],
  ['gelu_python', 'gelu'],
  ['gelu_new', 'gelu-tanh'],
  ['gelu_fast', 'gelu-tanh'],
  ['gelu_pytorch_tanh', 'gelu-tanh'],
  ['relu6', 'relu6'],
]);

/** google-research's names (get_activation): its gelu is the approximation by tanh. */
export const GOOGLE_ACTIVATIONS: ReadonlyMap<string, Activation> = new Map([
  ['relu', 'relu'],
  ['relu6', 'relu6'],
  ['gelu', 'gelu-tanh'],
]);

/**
 * How padding is kept out of attention: by -10000 added to its scores, or as mobilebert/modeling.py does it, by
 * scores · mask - 6 · (1 - mask), which leaves it some weight.
 */
export type MaskStyle = 'added' | 'weak';

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
  readonly mask: AttentionMask;
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
  if (activation === 'relu6') return relu6(builder, name, x);
  return add(builder, `${name}.gelu`, 'gelu', [x], { tanh: activation === 'gelu-tanh' });
}

/** min(relu(x), 6) = relu(x) - relu(x - 6). */
function relu6(builder: Builder, name: string, x: Node): Node {
  const six = builder.graph.constant(scalarTensor(6), `${name}.six`);
  const above = add(builder, `${name}.above`, 'relu', [add(builder, `${name}.less`, 'sub', [x, six])]);
  return add(builder, `${name}.relu6`, 'sub', [add(builder, `${name}.relu`, 'relu', [x]), above]);
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

/** softmax(mask(Q Kᵀ / sqrt(size))) V in every head, joined again: [rows, sequence, heads · size]. */
export function attend(builder: Builder, name: string, { query, key, value, heads }: Attention): Node {
  const { rows, sequence, mask } = builder;
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
  const kept = mask.factor === undefined ? scores : add(builder, `${name}.kept`, 'mul', [scores, mask.factor]);
  const masked = add(builder, `${name}.masked`, 'add', [kept, mask.bias]);
  const probabilities = add(builder, `${name}.probabilities`, 'softmax', [masked], { axis: -1 });
  const mixed = add(builder, `${name}.mixed`, 'matmul', [probabilities, split('value', value)]);
  const together = add(builder, `${name}.join`, 'transpose', [mixed], { permutation: [0, 2, 1, 3] });
  return add(builder, name, 'reshape', [together], { shape: [rows, sequence, width] });
}

/** What attention does to its scores, both [rows, 1, 1, sequence]. */
export interface AttentionMask {
  /** Scores are multiplied with it: 1 for a token, 0 for padding. */
  readonly factor: Node | undefined;
  /** Added then: 0 for a token, less for padding. */
  readonly bias: Node;
}

/**
 * What is added for padding. transformers adds the smallest float in PyTorch; e^(x - 10000) is 0 in f32 as well, so both
 * give the same unless a whole row is padding, and -10000 fits f16.
 */
const PADDING_SCORES: { readonly [S in MaskStyle]: number } = { added: -10000, weak: -6 };

/** The attention mask from attention_mask [rows, sequence] of ones and zeros. */
export function attentionMask(graph: Graph, mask: Node, rows: Dim, sequence: Dim, style: MaskStyle): AttentionMask {
  const name = 'attention_bias';
  const shape = [rows, 1, 1, sequence];
  const ones = graph.add('cast', [mask], { to: 'f32' }, `${name}.mask`);
  const padding = graph.add('sub', [graph.constant(scalarTensor(1), `${name}.one`), ones], {}, `${name}.padding`);
  const least = graph.constant(scalarTensor(PADDING_SCORES[style]), `${name}.least`);
  const scaled = graph.add('mul', [padding, least], {}, `${name}.scaled`);
  return {
    factor: style === 'weak' ? graph.add('reshape', [ones], { shape }, 'attention_factor') : undefined,
    bias: graph.add('reshape', [scaled], { shape }, name),
  };
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
