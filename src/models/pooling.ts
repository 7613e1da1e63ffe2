import type { Node } from '../ir/graph.ts';
import { scalarTensor, tensorOf } from '../ir/tensor.ts';
import { add, type Builder, firstToken } from './builder.ts';

/** What a pooling reads: values of tokens [rows, sequence, width], of which padding is left out. */
export interface PoolingInput {
  readonly builder: Builder;
  readonly name: string;
  readonly tokens: Node;
  /** Longest sequence that the model takes. */
  readonly maxPositions: number;
}

/** Least number of tokens that a mean divides by, so that a sequence of padding gives zeros. */
const LEAST_COUNT = 1e-9;

/** Score of padding in a maximum: torch has the least float, but this one fits f16 as well, and no hidden state is near it. */
const PADDING = 10_000;

/** Ways to make one vector [rows, width] of tokens, by sentence-transformers' names and in its order. */
export const POOLINGS = {
  cls: ({ builder, name, tokens }) => firstToken(builder, `${name}.cls`, tokens),
  max,
  mean: (input) => weighted(input, 'mean', input.builder.mask.ones, (count) => count),
  mean_sqrt_len_tokens: (input) =>
    weighted(input, 'mean_sqrt_len', input.builder.mask.ones, (count) =>
      add(input.builder, `${input.name}.root`, 'sqrt', [count]),
    ),
  weightedmean: (input) => weighted(input, 'weightedmean', positionWeights(input), (count) => count),
  lasttoken,
} as const satisfies { readonly [mode: string]: (input: PoolingInput) => Node };

export type PoolingMode = keyof typeof POOLINGS;

/** Adds Σ w x / divisor(Σ w) over tokens, with weights [rows, sequence] that are 0 for padding. */
function weighted(input: PoolingInput, mode: string, weights: Node, divisor: (count: Node) => Node): Node {
  const { builder, name } = input;
  const column = columnOf(input, `${mode}.weights`, weights);
  const least = builder.graph.constant(scalarTensor(LEAST_COUNT), `${name}.least`);
  const count = add(builder, `${name}.${mode}.count`, 'sum', [column], { axis: 1, keepDims: false });
  const bounded = add(builder, `${name}.${mode}.bounded`, 'maximum', [count, least]);
  return add(builder, `${name}.${mode}`, 'div', [sumOf(input, mode, column), divisor(bounded)]);
}

/** Adds Σ w x over tokens, [rows, width], with weights [rows, sequence, 1]. */
function sumOf({ builder, name, tokens }: PoolingInput, mode: string, column: Node): Node {
  const kept = add(builder, `${name}.${mode}.kept`, 'mul', [tokens, column]);
  return add(builder, `${name}.${mode}.sum`, 'sum', [kept], { axis: 1, keepDims: false });
}

function columnOf({ builder, name }: PoolingInput, part: string, weights: Node): Node {
  return add(builder, `${name}.${part}`, 'reshape', [weights], { shape: [builder.rows, builder.sequence, 1] });
}

/** Adds the largest value of each channel: tokens keep theirs, x·1 + 0, and padding gets 0 - 10000 on top of x·0. */
function max(input: PoolingInput): Node {
  const { builder, name, tokens } = input;
  const column = columnOf(input, 'max.mask', builder.mask.ones);
  const one = builder.graph.constant(scalarTensor(1), `${name}.one`);
  const least = builder.graph.constant(scalarTensor(PADDING), `${name}.padding`);
  const padding = add(builder, `${name}.max.absent`, 'sub', [column, one]);
  const low = add(builder, `${name}.max.low`, 'mul', [padding, least]);
  const kept = add(builder, `${name}.max.kept`, 'mul', [tokens, column]);
  const masked = add(builder, `${name}.max.masked`, 'add', [kept, low]);
  return add(builder, `${name}.max`, 'max', [masked], { axis: 1, keepDims: false });
}

/** Adds weights 1, 2, 3, … of tokens in their order, [rows, sequence]. */
function positionWeights({ builder, name, maxPositions }: PoolingInput): Node {
  const numbers = Float32Array.from({ length: maxPositions }, (_, i) => i + 1);
  const table = builder.graph.constant(tensorOf('f32', [maxPositions], numbers), `${name}.positions`);
  const weights = add(builder, `${name}.ranks`, 'slice', [table], { axis: 0, start: 0, end: builder.sequence });
  return add(builder, `${name}.ranked`, 'mul', [builder.mask.ones, weights]);
}

/**
 * Adds the last token that is no padding: the one behind which none is left, so that relu(1 - left) is 0 for those before
 * it, whatever gaps a mask has.
 */
function lasttoken(input: PoolingInput): Node {
  const { builder, name } = input;
  const { ones } = builder.mask;
  const part = (suffix: string) => `${name}.lasttoken.${suffix}`;
  const one = builder.graph.constant(scalarTensor(1), part('one'));
  const count = add(builder, part('count'), 'cumulativeSum', [ones], { axis: 1 });
  const total = add(builder, part('total'), 'sum', [ones], { axis: 1, keepDims: true });
  const left = add(builder, part('left'), 'sub', [total, count]);
  const none = add(builder, part('none_behind'), 'relu', [add(builder, part('ends'), 'sub', [one, left])]);
  const last = add(builder, part('last'), 'mul', [ones, none]);
  return sumOf(input, 'lasttoken', columnOf(input, 'lasttoken.weights', last));
}

/**
 * Adds the first token that is no padding, [rows, width]: the one at which the count of tokens gets to 1, so that
 * relu(2 - count) is 0 from the second one on.
 */
export function firstAttended(builder: Builder, name: string, tokens: Node): Node {
  const { ones } = builder.mask;
  const two = builder.graph.constant(scalarTensor(2), `${name}.two`);
  const count = add(builder, `${name}.count`, 'cumulativeSum', [ones], { axis: 1 });
  const none = add(builder, `${name}.none_before`, 'relu', [add(builder, `${name}.left`, 'sub', [two, count])]);
  const first = add(builder, `${name}.first`, 'mul', [ones, none]);
  const input = { builder, name, tokens, maxPositions: 0 };
  return sumOf(input, 'first', columnOf(input, 'first.weights', first));
}

/** Adds log(1 + relu(x)) pooled, as SPLADE does: a maximum or sum over tokens, [rows, vocabulary]. */
export function poolSplade(
  { builder, name, tokens }: PoolingInput,
  { strategy, logs }: { readonly strategy: 'max' | 'sum'; readonly logs: number },
): Node {
  const column = columnOf({ builder, name, tokens, maxPositions: 0 }, 'mask', builder.mask.ones);
  const kept = add(builder, `${name}.kept`, 'relu', [add(builder, `${name}.masked`, 'mul', [tokens, column])]);
  const pooled = (x: Node) => add(builder, `${name}.${strategy}`, strategy, [x], { axis: 1, keepDims: false });
  const one = builder.graph.constant(scalarTensor(1), `${name}.one`);
  const log = (x: Node, i: number): Node =>
    i === logs
      ? x
      : log(add(builder, `${name}.log_${i}`, 'log', [add(builder, `${name}.above_${i}`, 'add', [x, one])]), i + 1);
  // The logarithm rises, so that it may be taken of the maximum alone.
  return strategy === 'max' ? log(pooled(kept), 0) : pooled(log(kept, 0));
}

/** True for a name of `POOLINGS`. */
export function isPooling(mode: string): mode is PoolingMode {
  return Object.hasOwn(POOLINGS, mode);
}
