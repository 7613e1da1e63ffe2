import type { Node } from '../ir/graph.ts';
import { attendByPlace } from './attention.ts';
import { type Attention, add, attend, type Builder, scalar, weight, widthOf } from './builder.ts';
import { type Distances, openDistances } from './relative.ts';

/**
 * Ways in which BERT knows places: by embeddings that are added, or by distances that queries score, or queries and
 * keys.
 */
export type PositionType = 'absolute' | 'relative_key' | 'relative_key_query';

export const POSITION_TYPES: ReadonlyMap<string, PositionType> = new Map([
  ['absolute', 'absolute'],
  ['relative_key', 'relative_key'],
  ['relative_key_query', 'relative_key_query'],
]);

/**
 * Distances (Shaw et al. 2018, https://arxiv.org/abs/1803.02155) of which each layer has a table of its own, for all
 * heads.
 */
export interface RelativeKeys {
  readonly distances: Distances;
  readonly rows: number;
  readonly fromKeys: boolean;
}

/**
 * Opens the distances of a model; undefined for absolute positions and, with a warning, where a file has no table for
 * the distances that its config names.
 */
export function openKeys(builder: Builder, name: string, type: PositionType, places: number): RelativeKeys | undefined {
  if (type === 'absolute') return undefined;
  if (!builder.weights.has(`${name}.layer.0.attention.self.distance_embedding.weight`)) {
    builder.warn(
      `position_embedding_type: is ${type}, but there is no distance_embedding: positions are absolute, as in transformers 5, which does not read the key`,
    );
    return undefined;
  }
  const rows = 2 * places - 1;
  const table = { rows, rowOf: (distance: number) => distance + places - 1, places };
  return {
    distances: openDistances(builder, `${name}.distances`, table),
    rows,
    fromKeys: type === 'relative_key_query',
  };
}

/** Adds softmax((q·k + q·E(i - j) + k·E(i - j)) / √size) v, the last term with relative_key_query. */
export function bertAttention(
  builder: Builder,
  name: string,
  attention: Attention,
  keys: RelativeKeys | undefined,
): Node {
  if (keys === undefined) return attend(builder, name, attention);
  const { distances, rows, fromKeys } = keys;
  const size = widthOf(attention.query) / attention.heads;
  const scale = 1 / Math.sqrt(size);
  const path = `${name}.distance_embedding`;
  const table = distances.used(path, weight(builder, `${path}.weight`, [rows, size]));
  return attendByPlace(builder, name, attention, {
    scale,
    terms(scaled, key) {
      const scores = [distances.scores(`${path}.of_query`, scaled, table, 'query')];
      if (!fromKeys) return scores;
      const factor = scalar(builder, `${path}.scale`, scale);
      const smaller = add(builder, `${path}.scaled`, 'mul', [table, factor]);
      return [...scores, distances.scores(`${path}.of_key`, key, smaller, 'key')];
    },
  });
}
