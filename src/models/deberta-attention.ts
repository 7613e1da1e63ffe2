import type { Node } from '../ir/graph.ts';
import { attendByPlace, type Placing } from './attention.ts';
import { add, type Builder, layerNorm, linear, scalar, weight, widthOf } from './builder.ts';
import type { DebertaSettings, Relative } from './deberta-settings.ts';
import { linearWith, partLinear, range } from './parts.ts';
import { type Distances, type DistanceTable, openDistances } from './relative.ts';

/** Table of distances, which all layers share and each projects, and how its scores are placed. */
export interface RelativePlaces {
  readonly table: Node;
  readonly distances: Distances;
}

export function openRelative(builder: Builder, settings: DebertaSettings, name: string): RelativePlaces | undefined {
  const { relative, positions, hidden, epsilon } = settings;
  if (relative === undefined) return undefined;
  const table = distanceTable(relative, positions.value);
  const distances = openDistances(builder, `${name}.distances`, table);
  const whole = weight(builder, `${name}.rel_embeddings.weight`, [table.rows, hidden.value]);
  const used = distances.used(`${name}.rel_embeddings`, whole);
  return { distances, table: relative.isNormed ? layerNorm(builder, `${name}.LayerNorm`, used, epsilon) : used };
}

/** Makes the rows by distance: those beyond the span have its last row. */
export function distanceTable({ span, buckets, most }: Relative, places: number): DistanceTable {
  const bucketOf = buckets === undefined ? (distance: number) => distance : logBuckets(buckets, most);
  return {
    rows: 2 * span,
    rowOf: (distance) => Math.min(Math.max(bucketOf(distance) + span, 0), 2 * span - 1),
    places,
  };
}

/**
 * Makes the buckets by distance. Distances up to half of the buckets have one each, those beyond share buckets that
 * grow: mid + ⌈(mid - 1) log(d / mid) / log((most - 1) / mid)⌉. In f32 step by step, as ⌈⌉ makes a whole bucket of the
 * last digit.
 */
function logBuckets(buckets: number, most: number): (distance: number) => number {
  const { fround } = Math;
  const mid = Math.floor(buckets / 2);
  const log = (x: number) => fround(Math.log(fround(x)));
  const all = log((most - 1) / mid);
  return (distance) => {
    const size = Math.abs(distance);
    if (size <= mid) return distance;
    const share = fround(log(size / mid) / all);
    return Math.sign(distance) * (Math.ceil(fround(share * (mid - 1))) + mid);
  };
}

/** Adds softmax((q·k + q·K(i - j) + k·Q(i - j)) / √(size · terms)) v, where K and Q project the distances' table. */
export function disentangledAttention(
  builder: Builder,
  settings: DebertaSettings,
  name: string,
  x: Node,
  places: RelativePlaces | undefined,
): Node {
  const { heads, hidden, relative, terms, version } = settings;
  const size = hidden.value / heads;
  const scale = 1 / Math.sqrt(size * terms);
  const project = version === 1 ? fusedProjections(builder, settings, name) : projections(builder, settings, name);
  const placing: Placing = {
    scale,
    terms(scaled, key) {
      if (places === undefined || relative === undefined) return [];
      const { distances } = places;
      const byHead = (path: string, side: 'query' | 'key') => {
        const projected = project.distances(side, places.table);
        const rows = projected.type.shape[0] as number;
        const split = add(builder, `${path}.split`, 'reshape', [projected], { shape: [1, rows, heads, size] });
        return add(builder, `${path}.heads`, 'transpose', [split], { permutation: [0, 2, 3, 1] });
      };
      const scores: Node[] = [];
      if (relative.fromQueries) {
        const path = `${name}.content_to_position`;
        scores.push(distances.scores(path, scaled, byHead(path, 'key'), 'query'));
      }
      if (relative.fromKeys) {
        const path = `${name}.position_to_content`;
        const factor = scalar(builder, `${path}.scale`, scale);
        const queries = add(builder, `${path}.scaled`, 'mul', [byHead(path, 'query'), factor]);
        scores.push(distances.scores(path, key, queries, 'key'));
      }
      return scores;
    },
  };
  return attendByPlace(builder, name, { ...project.content(x), heads }, placing);
}

/**
 * Projections of a layer: tokens to queries, keys and values; distances to keys, which queries score, or to queries.
 */
interface Projections {
  content(x: Node): { readonly query: Node; readonly key: Node; readonly value: Node };
  distances(side: 'query' | 'key', table: Node): Node;
}

/** Projections of version 1: head by head, query, key and value are rows of one matrix; keys have no bias. */
function fusedProjections(builder: Builder, { heads, hidden }: DebertaSettings, name: string): Projections {
  const width = hidden.value;
  const size = width / heads;
  const part = (x: Node, what: string, place: number, bias?: string): Node => {
    const rows = range(0, heads).flatMap((head) => range((3 * head + place) * size, size));
    const matrix = { name: `${name}.in_proj`, part: what, of: 3 * width, rows, hasBias: false };
    const y = partLinear(builder, matrix, x);
    if (bias === undefined) return y;
    return add(builder, `${name}.${bias}.add`, 'add', [y, weight(builder, `${name}.${bias}`, [width])]);
  };
  return {
    content: (x) => ({
      query: part(x, 'query', 0, 'q_bias'),
      key: part(x, 'key', 1),
      value: part(x, 'value', 2, 'v_bias'),
    }),
    distances: (side, table) =>
      side === 'key'
        ? linearWith(builder, `${name}.pos_proj`, table, width, false)
        : linear(builder, `${name}.pos_q_proj`, table, width),
  };
}

/** Projections of version 2: linears by name; distances have their own, or share those of the content. */
function projections(builder: Builder, { relative }: DebertaSettings, name: string): Projections {
  const project = (kind: string, x: Node) => linear(builder, `${name}.${kind}_proj`, x, widthOf(x));
  return {
    content: (x) => ({ query: project('query', x), key: project('key', x), value: project('value', x) }),
    distances(side, table) {
      if (!relative?.isShared) return project(`pos_${side}`, table);
      const width = widthOf(table);
      const matrix = weight(builder, `${name}.${side}_proj.weight`, [width, width]);
      const bias = weight(builder, `${name}.${side}_proj.bias`, [width]);
      return add(builder, `${name}.${side}_proj.of_distances`, 'linear', [table, matrix, bias]);
    },
  };
}
