import type { Node } from '../ir/graph.ts';
import { type Attention, add, type Builder, joinHeads, scalar, splitHeads, widthOf } from './builder.ts';

/** Ways in which an attention knows places; values are [rows, heads, sequence, size]. */
export interface Placing {
  /** Turns queries and keys by their places. */
  readonly turn?: (name: string, x: Node) => Node;
  /** Whether values are turned as well. */
  readonly turnsValues?: boolean;
  /** Scores [rows, heads, sequence, sequence] beside q·k, from scaled queries and from keys. */
  readonly terms?: (scaled: Node, key: Node) => readonly Node[];
  /** Factor of the products q·k. Default: 1 / √size. */
  readonly scale?: number;
  /** Bias of the scores that hides what is not attended to. Default: the model's mask for padding. */
  readonly bias?: Node;
}

/**
 * Adds softmax(scale · turned Q · turned Kᵀ + terms + bias) V in every head, joined again. Queries are scaled first, as
 * turns are linear.
 */
export function attendByPlace(
  builder: Builder,
  name: string,
  { query, key, value, heads }: Attention,
  { turn = (_, x) => x, turnsValues = false, terms, scale = 1 / Math.sqrt(widthOf(query) / heads), bias }: Placing,
): Node {
  const split = (part: string, x: Node) => splitHeads(builder, `${name}.${part}`, x, heads);
  const factor = scalar(builder, `${name}.scale`, scale);
  const scaled = add(builder, `${name}.query.scaled`, 'mul', [split('query', query), factor]);
  const keys = split('key', key);
  const [turnedQuery, turnedKey] = [turn(`${name}.query`, scaled), turn(`${name}.key`, keys)];
  let scores: Node = add(builder, `${name}.products`, 'matmul', [turnedQuery, turnedKey], { transposeB: true });
  for (const [i, term] of (terms?.(scaled, keys) ?? []).entries()) {
    scores = add(builder, `${name}.scores.${i}`, 'add', [scores, term]);
  }
  const masked = add(builder, `${name}.masked`, 'add', [scores, bias ?? builder.mask.bias]);
  const probabilities = add(builder, `${name}.probabilities`, 'softmax', [masked], { axis: -1 });
  const values = turnsValues ? turn(`${name}.value`, split('value', value)) : split('value', value);
  return joinHeads(builder, name, add(builder, `${name}.mixed`, 'matmul', [probabilities, values]));
}
