import type { Call } from './graph.ts';
import type { OpName } from './ops/index.ts';
import { axisOf } from './shape.ts';

/**
 * Ops that treat every token alike. `x`: the first input holds tokens, the others are parameters. `all`: any input may.
 * `last-axis`: like `all`, as long as the op works along the last axis.
 */
const TOKEN_WISE: { readonly [O in OpName]?: 'x' | 'all' | 'last-axis' } = {
  linear: 'x',
  layerNorm: 'x',
  noNorm: 'x',
  add: 'all',
  sub: 'all',
  mul: 'all',
  div: 'all',
  relu: 'all',
  gelu: 'all',
  tanh: 'all',
  sigmoid: 'all',
  erf: 'all',
  dynamicRound: 'all',
  sqrt: 'all',
  rsqrt: 'all',
  cast: 'all',
  slice: 'last-axis',
  concat: 'last-axis',
  softmax: 'last-axis',
};

/** True for an op that computes each token [..., channels] of its result from the same token of what it reads. */
export function isTokenWise(node: Call): boolean {
  const kind = TOKEN_WISE[node.op];
  if (kind !== 'last-axis') return kind !== undefined;
  const rank = node.type.shape.length;
  return axisOf((node.attrs as { readonly axis: number }).axis, rank) === rank - 1;
}

/** True for one that works along an axis, which is the last one. */
export function isAlongChannels(node: Call): boolean {
  return TOKEN_WISE[node.op] === 'last-axis';
}

/** True where the input holds the same numbers for all tokens by what the op is. */
export function isParameter(node: Call, index: number): boolean {
  return TOKEN_WISE[node.op] === 'x' && index > 0;
}
