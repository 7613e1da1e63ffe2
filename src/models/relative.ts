import type { Node } from '../ir/graph.ts';
import { product } from '../ir/shape.ts';
import { add, type Builder, indices } from './builder.ts';
import { countPlaces } from './counted-places.ts';
import { range } from './parts.ts';

/** A table with a row for each distance i - j, of a query's place from a key's, that the model tells apart. */
export interface DistanceTable {
  readonly rows: number;
  /** Row of a distance, which never falls while the distance grows. */
  readonly rowOf: (distance: number) => number;
  /** Length of the longest sequence. */
  readonly places: number;
}

/** Scores by distance for one length of the run. */
export interface Distances {
  /** Takes the rows of a table [rows, width] that a sequence of this length reads. */
  used(name: string, table: Node): Node;
  /**
   * Computes what queries x [rows, heads, sequence, size] score the distances to their keys, or keys those to their
   * queries: y[i, j] = x[i]·table[i - j], or x[j]·table[i - j]. The table's rows are the used ones, [1, heads, size,
   * used], or [used, size] for all heads: [rows, heads, sequence, sequence].
   */
  scores(name: string, x: Node, table: Node, side: Side): Node;
}

type Side = 'query' | 'key';

export function openDistances(builder: Builder, name: string, table: DistanceTable): Distances {
  const { sequence } = builder;
  return typeof sequence === 'number'
    ? fixedDistances(builder, sequence, table)
    : dynamicDistances(builder, name, table);
}

/**
 * Scores the distances of a known length. A row of the table for each distance of the run makes scores x tableᵀ
 * [sequence, 2 sequence - 1] of which row i is needed from a place on that moves by one each row. Read with rows that
 * are one shorter, these stand in columns: two reshapes and two slices, which delegates have, where a gather takes
 * longer than the product itself.
 */
function fixedDistances(builder: Builder, length: number, { rowOf }: DistanceTable): Distances {
  const first = rowOf(1 - length);
  const width = 2 * length - 1;
  return {
    used: (name, table) =>
      add(builder, `${name}.used`, 'slice', [table], { axis: 0, start: first, end: rowOf(length - 1) + 1 }),
    scores(name, x, table, side) {
      const heads = x.type.shape[1] as number;
      // Of row i, column c becomes c - (length - 1) + i: that is j for queries, whose distances fall along the row.
      const distances = range(1 - length, width).map((distance) => (side === 'query' ? -distance : distance));
      const rows = distances.map((distance) => rowOf(distance) - first);
      const places = indices(builder, `${name}.rows`, rows);
      const spread = add(builder, `${name}.table`, 'gather', [table, places], { axis: isForAll(table) ? 0 : 3 });
      const all = multiply(builder, name, x, spread);
      if (length === 1) return all;
      const flat = reshaped(builder, `${name}.flat`, all, [heads, length * width]);
      const end = length - 1 + length * (width - 1);
      const shifted = add(builder, `${name}.shifted`, 'slice', [flat], { axis: 2, start: length - 1, end });
      const turned = reshaped(builder, `${name}.turned`, shifted, [heads, length, width - 1]);
      const square = add(builder, `${name}.square`, 'slice', [turned], { axis: 3, start: 0, end: length });
      if (side === 'query') return square;
      return add(builder, `${name}.by_query`, 'transpose', [square], { permutation: [0, 1, 3, 2] });
    },
  };
}

/**
 * Scores the distances of a length that only the run knows: every row of the table is scored and each element looked up
 * at i · rows + row(i - j), or j · rows + row(i - j), which is worked out once for all layers.
 */
function dynamicDistances(builder: Builder, name: string, { rows, rowOf, places }: DistanceTable): Distances {
  const { sequence } = builder;
  const number = (value: number, part: string) => indices(builder, `${name}.${part}`, [value], []);
  const column = (part: string, x: Node) => add(builder, `${name}.${part}`, 'reshape', [x], { shape: [sequence, 1] });
  const keys = countPlaces(builder, `${name}.places`);
  // From 0 on, so that distances are places in a table.
  const moved = add(builder, `${name}.moved`, 'add', [keys, number(places - 1, 'most')]);
  const distance = add(builder, `${name}.distance`, 'sub', [column('queries', moved), keys]);
  const byDistance = indices(builder, `${name}.row_of`, range(1 - places, 2 * places - 1).map(rowOf));
  const rowAt = add(builder, `${name}.row`, 'gather', [byDistance, distance], { axis: 0 });
  const starts = add(builder, `${name}.starts`, 'mul', [keys, number(rows, 'rows')]);
  const picked: { readonly [S in Side]: Node } = {
    query: add(builder, `${name}.of_queries`, 'add', [rowAt, column('query_starts', starts)]),
    key: add(builder, `${name}.of_keys`, 'add', [rowAt, starts]),
  };
  return {
    used: (_, whole) => whole,
    scores(path, x, whole, side) {
      const flat = [x.type.shape[1] as number, product([rows, sequence])];
      const all = reshaped(builder, `${path}.flat`, multiply(builder, path, x, whole), flat);
      return add(builder, `${path}.picked`, 'gather', [all, picked[side]], { axis: 2 });
    },
  };
}

/** True for a table that all heads share. */
function isForAll(table: Node): boolean {
  return table.type.shape.length === 2;
}

function multiply(builder: Builder, name: string, x: Node, table: Node): Node {
  return add(builder, `${name}.products`, isForAll(table) ? 'linear' : 'matmul', [x, table]);
}

function reshaped(builder: Builder, name: string, x: Node, rest: readonly (number | string)[]): Node {
  return add(builder, name, 'reshape', [x], { shape: [builder.rows, ...rest] });
}
