import type { Node } from '../ir/graph.ts';
import { add, type Builder, indices, weight } from './builder.ts';

/** Buckets in which distances between tokens share rows of a table, as T5's: half of the rows for each direction. */
export interface Buckets {
  readonly count: number;
  /** Least distance from which on all share the last bucket. */
  readonly maxDistance: number;
}

/** A table [rows, heads] with a bias of attention scores for each bucket. */
export interface RelativeBias extends Buckets {
  readonly rows: number;
  readonly heads: number;
  readonly maxLength: number;
}

/**
 * Adds the bias [heads, sequence, sequence] of the scores of query i and key j: the table's row for j - i. The table is
 * first spread over all distances that there are, so that a run looks up distances and computes no bucket; for a fixed
 * length all of it is a constant.
 */
export function relativeBias(builder: Builder, name: string, bias: RelativeBias): Node {
  const { sequence } = builder;
  const last = bias.maxLength - 1;
  const distances = Array.from({ length: 2 * bias.maxLength - 1 }, (_, i) => i - last);
  const buckets = distances.map((distance) => bucketOf(distance, bias));
  const table = weight(builder, `${name}.weight`, [bias.rows, bias.heads]);
  const places = indices(builder, `${name}.buckets`, buckets);
  const byDistance = add(builder, `${name}.by_distance`, 'gather', [table, places], { axis: 0 });
  const counted = indices(builder, `${name}.counted`, [...distances.keys()]);
  const keys = add(builder, `${name}.keys`, 'slice', [counted], { axis: 0, start: 0, end: sequence });
  const queries = add(builder, `${name}.queries`, 'reshape', [keys], { shape: [sequence, 1] });
  const difference = add(builder, `${name}.difference`, 'sub', [keys, queries]);
  const offset = indices(builder, `${name}.offset`, [last], []);
  const rows = add(builder, `${name}.rows`, 'add', [difference, offset]);
  const looked = add(builder, `${name}.looked_up`, 'gather', [byDistance, rows], { axis: 0 });
  return add(builder, name, 'transpose', [looked], { permutation: [2, 0, 1] });
}

/**
 * Bucket of the distance key - query. Half of a direction's buckets hold one distance each, the others ranges that grow
 * by a constant factor. Computed in f32 as torch does: at powers of that factor a rounding decides.
 */
export function bucketOf(distance: number, { count, maxDistance }: Buckets): number {
  const { fround } = Math;
  const half = count / 2;
  const exact = half / 2;
  const first = distance > 0 ? half : 0;
  const far = Math.abs(distance);
  if (far < exact) return first + far;
  const logarithm = fround(Math.log(fround(far / exact)));
  const share = fround(fround(logarithm / fround(Math.log(maxDistance / exact))) * (half - exact));
  return first + Math.min(half - 1, exact + Math.trunc(share));
}
