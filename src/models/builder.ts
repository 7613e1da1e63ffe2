import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import type { AttrsOf, OpName } from '../ir/ops/index.ts';
import { type Dim, product } from '../ir/shape.ts';
import { integerTensor, scalarTensor } from '../ir/tensor.ts';
import { readRange, roundToRange, roundWeight, type TrainedRange } from './fake-quant.ts';
import type { Weights } from './weights.ts';

/**
 * Ways to keep padding out of attention: by -10000 added to its scores, or as mobilebert/modeling.py does it, by
 * scores · mask - 6 · (1 - mask), which leaves it some weight.
 */
export type MaskStyle = 'added' | 'weak';

/** State of a model under construction that every layer needs. Values are [rows, sequence, hidden]. */
export interface Builder {
  readonly graph: Graph;
  readonly weights: Weights;
  /** Number of sequences of a run: the batch, times the choices where there are several for each. */
  readonly rows: Dim;
  readonly sequence: Dim;
  /** Ids of tokens, [rows, sequence], of `indexType`. */
  readonly tokenIds: Node;
  readonly indexType: 'i32' | 'i64';
  readonly tokenTypes: Node | undefined;
  readonly mask: AttentionMask;
  /** Nodes of weights, one for each however often it is used: tied embeddings stay tied. */
  readonly constants: Map<string, Constant>;
  /** Names a node by its module's path; absent, it is the path. Layers that share a module have names of their own. */
  readonly nodeName?: (path: string) => string;
  /** Takes a warning about the model, worded `part: problem`. */
  warn(problem: string): void;
}

/** Adds a node under its module's path. */
export function add<O extends OpName>(
  { graph, nodeName }: Builder,
  name: string,
  op: O,
  inputs: readonly Node[],
  attrs?: Partial<AttrsOf<O>>,
): Call<O> {
  return graph.add(op, inputs, attrs, nodeName?.(name) ?? name);
}

/** Adds integers to count and look up with, of the type that token ids have. */
export function indices(
  { graph, indexType }: Builder,
  name: string,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): Constant {
  return graph.constant(integerTensor(indexType, values, shape), name);
}

/** Adds a number that is no weight, named as a node is. */
export function scalar({ graph, nodeName }: Builder, name: string, value: number): Constant {
  return graph.constant(scalarTensor(value), nodeName?.(name) ?? name);
}

export function weight(builder: Builder, name: string, shape: readonly number[]): Constant {
  return makeConstant(builder, name, shape, undefined, false);
}

function makeConstant(
  { graph, weights, constants }: Builder,
  name: string,
  shape: readonly number[],
  range: TrainedRange | undefined,
  isNarrow: boolean,
): Constant {
  const constant = constants.get(name) ?? graph.constant(roundWeight(weights.take(name, shape), range, isNarrow), name);
  constants.set(name, constant);
  return constant;
}

/** Adds W x + b with `name.weight` [out, in] and `name.bias` [out]; in is the last axis of x. */
export function linear(builder: Builder, name: string, x: Node, out: number): Node {
  const range = readRange(builder.weights, `${name}.weight_range`);
  const matrix = makeConstant(builder, `${name}.weight`, [out, widthOf(x)], range, true);
  const input = round(builder, `${name}.input_range`, x);
  return add(builder, name, 'linear', [input, matrix, weight(builder, `${name}.bias`, [out])]);
}

/** Rounds x as quantization-aware training does at this place; gives x itself in other models. */
function round({ graph, weights }: Builder, name: string, x: Node): Node {
  return roundToRange(graph, weights, name, x);
}

export function layerNorm(builder: Builder, name: string, x: Node, epsilon: number): Node {
  const shape = [widthOf(x)];
  const gamma = weight(builder, `${name}.weight`, shape);
  return add(builder, name, 'layerNorm', [x, gamma, weight(builder, `${name}.bias`, shape)], { epsilon });
}

export function noNorm(builder: Builder, name: string, x: Node): Node {
  const shape = [widthOf(x)];
  const [gamma, beta] = (['weight', 'bias'] as const).map((part) => {
    const range = readRange(builder.weights, `${name}.${part}_range`);
    return makeConstant(builder, `${name}.${part}`, shape, range, false);
  }) as [Constant, Constant];
  const input = round(builder, `${name}.input_range`, x);
  if (!builder.weights.has(`${name}.product_range.min`)) return add(builder, name, 'noNorm', [input, gamma, beta]);
  const product = add(builder, `${name}.product`, 'mul', [input, gamma]);
  return add(builder, name, 'add', [round(builder, `${name}.product_range`, product), beta]);
}

/** Looks rows of `name.weight` [count, width] up by ids [rows, sequence]. */
export function embed(builder: Builder, name: string, ids: Node, count: number, width: number): Node {
  return add(builder, name, 'gather', [weight(builder, `${name}.weight`, [count, width]), ids], { axis: 0 });
}

/** Adds rows of `name.token_type_embeddings.weight` [count, width of x] to x, in a model that takes token types. */
export function addTokenTypes(builder: Builder, name: string, x: Node, count: number): Node {
  if (builder.tokenTypes === undefined) return x;
  const types = embed(builder, `${name}.token_type_embeddings`, builder.tokenTypes, count, widthOf(x));
  return add(builder, `${name}.add_token_types`, 'add', [x, types]);
}

/**
 * Embeddings [sequence, width] of positions 0, 1, …, of which `name.weight` [count, width] has one a row. What is the
 * same `everywhere` is added to the table, not to every token.
 */
export function embedPositions(builder: Builder, name: string, count: number, width: number, everywhere?: Node): Node {
  const own = weight(builder, `${name}.weight`, [count, width]);
  const table = everywhere === undefined ? own : add(builder, `${name}.moved`, 'add', [own, everywhere]);
  return add(builder, name, 'slice', [table], { axis: 0, start: 0, end: builder.sequence });
}

/** First row [1, width] of `name.weight` [count, width], which stands for an input that nobody gives. */
export function firstRow(builder: Builder, name: string, count: number, width: number): Node {
  const table = weight(builder, `${name}.weight`, [count, width]);
  return add(builder, name, 'slice', [table], { axis: 0, start: 0, end: 1 });
}

/** Vector [rows, hidden] of the first token, as poolers take it. */
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

/** Adds softmax(mask(Q Kᵀ / sqrt(size))) V in every head, joined again: [rows, sequence, heads · size]. */
export function attend(builder: Builder, name: string, { query, key, value, heads }: Attention): Node {
  const split = (part: string, x: Node) => splitHeads(builder, `${name}.${part}`, x, heads);
  const products = add(builder, `${name}.products`, 'matmul', [split('query', query), split('key', key)], {
    transposeB: true,
  });
  const rounded = round(builder, `${name}.products_range`, products);
  const scale = scalar(builder, `${name}.scale`, 1 / Math.sqrt(widthOf(query) / heads));
  const masked = maskScores(builder, name, add(builder, `${name}.scores`, 'mul', [rounded, scale]));
  const probabilities = add(builder, `${name}.probabilities`, 'softmax', [masked], { axis: -1 });
  const product = add(builder, `${name}.mixed`, 'matmul', [probabilities, split('value', value)]);
  return joinHeads(builder, name, round(builder, `${name}.mixed_range`, product));
}

/** [rows, sequence, heads · size] as [rows, heads, sequence, size]. */
export function splitHeads(builder: Builder, name: string, x: Node, heads: number): Node {
  const shape = [builder.rows, builder.sequence, heads, widthOf(x) / heads];
  const apart = add(builder, `${name}.split`, 'reshape', [x], { shape });
  return add(builder, `${name}.heads`, 'transpose', [apart], { permutation: [0, 2, 1, 3] });
}

/** [rows, heads, sequence, size] as [rows, sequence, heads · size]. */
export function joinHeads(builder: Builder, name: string, x: Node): Node {
  const width = (x.type.shape[1] as number) * widthOf(x);
  const together = add(builder, `${name}.join`, 'transpose', [x], { permutation: [0, 2, 1, 3] });
  return add(builder, name, 'reshape', [together], { shape: [builder.rows, builder.sequence, width] });
}

/** Adds scores · factor + bias. */
function maskScores(builder: Builder, name: string, scores: Node): Node {
  const { factor, bias } = builder.mask;
  const kept = factor === undefined ? scores : add(builder, `${name}.kept`, 'mul', [scores, factor]);
  const masked = add(builder, `${name}.masked`, 'add', [round(builder, `${name}.kept_range`, kept), bias]);
  const rounded = round(builder, `${name}.masked_range`, masked);
  // Quantization-aware training clips its scores as well, once they are rounded.
  const least = readRange(builder.weights, `${name}.masked_range`)?.least ?? 0;
  return least < LEAST_SCORE ? atLeast(builder, `${name}.clipped`, rounded, LEAST_SCORE) : rounded;
}

/** Least score of mobilebert/modeling.py, which has a greatest of 60 as well that no sensible range reaches. */
const LEAST_SCORE = -6;

/** Adds max(x, least) = relu(x - least) + least. */
function atLeast(builder: Builder, name: string, x: Node, least: number): Node {
  const constant = scalar(builder, `${name}.least`, least);
  const above = add(builder, `${name}.above`, 'relu', [add(builder, `${name}.moved`, 'sub', [x, constant])]);
  return add(builder, name, 'add', [above, constant]);
}

/** Tensors by which attention keeps padding out of its scores, [rows, 1, 1, sequence], and what they are made of. */
interface AttentionMask {
  /** 1 for a token, 0 for padding: [rows, sequence]. */
  readonly ones: Node;
  /** Factor of scores: 1 for a token, 0 for padding. */
  readonly factor: Node | undefined;
  /** Bias added then: 0 for a token, less for padding. */
  readonly bias: Node;
}

/**
 * What is added to scores that are not to be seen. transformers adds the smallest float in PyTorch; e^(x - 10000) is 0 in
 * f32 as well, so both give the same unless a whole row is padding, and -10000 fits f16.
 */
export const HIDING_SCORE = -10000;

/** Scores of padding. */
const PADDING_SCORES: { readonly [S in MaskStyle]: number } = { added: HIDING_SCORE, weak: -6 };

/** Makes attention's mask from attention_mask [rows, sequence] of ones and zeros. */
export function attentionMask(graph: Graph, mask: Node, rows: Dim, sequence: Dim, style: MaskStyle): AttentionMask {
  const name = 'attention_bias';
  const shape = [rows, 1, 1, sequence];
  const ones = graph.add('cast', [mask], { to: 'f32' }, `${name}.mask`);
  const padding = graph.add('sub', [graph.constant(scalarTensor(1), `${name}.one`), ones], {}, `${name}.padding`);
  const least = graph.constant(scalarTensor(PADDING_SCORES[style]), `${name}.least`);
  const scaled = graph.add('mul', [padding, least], {}, `${name}.scaled`);
  return {
    ones,
    factor: style === 'weak' ? graph.add('reshape', [ones], { shape }, 'attention_factor') : undefined,
    bias: graph.add('reshape', [scaled], { shape }, name),
  };
}

/** Reshapes `[batch, choices, sequence]` to `[batch*choices, sequence]`. */
export function joinChoices(graph: Graph, x: Node): Node {
  const [batch, choices, sequence] = x.type.shape as readonly [Dim, Dim, Dim];
  return graph.add('reshape', [x], { shape: [product([batch, choices]), sequence] }, `${x.name}.rows`);
}

/** Size of the last axis, which is always a number: models are built with symbolic batch and sequence only. */
export function widthOf(x: Node): number {
  return x.type.shape.at(-1) as number;
}
