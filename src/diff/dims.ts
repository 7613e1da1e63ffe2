import { type Dim, product, type Shape } from '../ir/shape.ts';

/**
 * Explains what follows from other input shapes: where an input went from [1, 128] to [1, 384], a reshape to
 * [1, 384, 4, 32] in place of [1, 128, 4, 32] is no change of its own.
 */
export interface Dims {
  explain(from: Shape, to: Shape): boolean;
}

/** Most pairs that are combined: models have batch, sequence and choices, and each more doubles the combinations. */
const MAX_PAIRS = 4;

/** Dims that explain by `pairs`, the dimensions of the inputs that differ, a's first. */
export function dimsOf(pairs: readonly (readonly [Dim, Dim])[]): Dims {
  const distinct = [...new Map(pairs.map((pair) => [pair.join(' '), pair])).values()].slice(0, MAX_PAIRS);
  const combinations: [Dim, Dim][] = [[1, 1]];
  for (const [a, b] of distinct) {
    for (const [x, y] of [...combinations]) combinations.push([product([x, a]), product([y, b])]);
  }
  // from is to with some dimensions in others' place where from / a = to / b, that is from·b = to·a.
  const explainsOne = (from: Dim, to: Dim) => combinations.some(([a, b]) => product([from, b]) === product([to, a]));
  return {
    explain: (from, to) =>
      distinct.length > 0 && from.length === to.length && from.every((dim, i) => explainsOne(dim, to[i] as Dim)),
  };
}
