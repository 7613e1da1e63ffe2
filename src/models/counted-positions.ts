import type { Node } from '../ir/graph.ts';
import { add, type Builder, indices, weight } from './builder.ts';

/** A table of position embeddings whose row `padding` is that of padding; the first token has the row behind it. */
export interface CountedPositions {
  readonly count: number;
  readonly width: number;
  /** Id of padding, and its row. */
  readonly padding: number;
}

/** Number of tokens, at most, that have rows of their own. */
export function positionsLeft({ count, padding }: Pick<CountedPositions, 'count' | 'padding'>): number {
  return count - padding - 1;
}

/**
 * Adds rows of `name.weight` for every token, [rows, sequence, width]: padding is not counted, wherever in the sequence
 * it is. place = padding + isToken · (isToken[0] + … + isToken[t]), as fairseq counts. What is the same `everywhere` is
 * added to the table, not to every token.
 */
export function embedCountedPositions(
  builder: Builder,
  name: string,
  { count, width, padding }: CountedPositions,
  everywhere?: Node,
): Node {
  const { tokenIds, indexType } = builder;
  const own = weight(builder, `${name}.weight`, [count, width]);
  const table = everywhere === undefined ? own : add(builder, `${name}.moved`, 'add', [own, everywhere]);
  const pad = indices(builder, `${name}.padding`, [padding], []);
  const isPadding = add(builder, `${name}.is_padding`, 'compare', [tokenIds, pad], { test: 'equal' });
  const isToken = add(builder, `${name}.is_token`, 'not', [isPadding]);
  const ones = add(builder, `${name}.tokens`, 'cast', [isToken], { to: indexType });
  const counted = add(builder, `${name}.counted`, 'cumulativeSum', [ones], { axis: -1 });
  const kept = add(builder, `${name}.kept`, 'mul', [counted, ones]);
  const places = add(builder, `${name}.places`, 'add', [kept, pad]);
  return add(builder, name, 'gather', [table, places], { axis: 0 });
}
