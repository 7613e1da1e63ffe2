import type { Constant, Node } from '../ir/graph.ts';
import { pickStoredRows } from '../ir/picked-tensors.ts';
import { tensorOf } from '../ir/tensor.ts';
import { type Attention, add, type Builder, weight, widthOf } from './builder.ts';

/** Adds a linear whose bias the config can leave out: `name.weight` [out, in], `name.bias` [out]. */
export function linearWith(builder: Builder, name: string, x: Node, out: number, hasBias: boolean): Node {
  const matrix = weight(builder, `${name}.weight`, [out, widthOf(x)]);
  return add(builder, name, 'linear', hasBias ? [x, matrix, weight(builder, `${name}.bias`, [out])] : [x, matrix]);
}

/** Adds a layerNorm whose bias the config can leave out. */
export function layerNormWith(builder: Builder, name: string, x: Node, epsilon: number, hasBias: boolean): Node {
  const shape = [widthOf(x)];
  const gamma = weight(builder, `${name}.weight`, shape);
  const beta = hasBias
    ? weight(builder, `${name}.bias`, shape)
    : builder.graph.constant(tensorOf('f32', shape, new Float32Array(widthOf(x))), `${name}.bias`);
  return add(builder, name, 'layerNorm', [x, gamma, beta], { epsilon });
}

/** Some rows of a matrix that is stored in one with others. */
export interface MatrixPart {
  /** Module of the matrix. */
  readonly name: string;
  /** Name of the rows' part, as `query`. */
  readonly part: string;
  /** Number of rows of the whole matrix. */
  readonly of: number;
  readonly rows: readonly number[];
  readonly hasBias: boolean;
}

/** Adds a linear over rows of `name.weight`, so that passes see queries, keys and values however a file stores them. */
export function partLinear(builder: Builder, { name, part, of, rows, hasBias }: MatrixPart, x: Node): Node {
  const path = `${name}.${part}`;
  const pick = (kind: string, shape: readonly number[]): Constant =>
    builder.graph.constant(pickStoredRows(weight(builder, `${name}.${kind}`, shape).tensor, rows), `${path}.${kind}`);
  const matrix = pick('weight', [of, widthOf(x)]);
  return add(builder, path, 'linear', hasBias ? [x, matrix, pick('bias', [of])] : [x, matrix]);
}

/** Adds queries, keys and values, each `width` channels wide, whose rows follow each other in `name.weight`. */
export function projectFused(
  builder: Builder,
  name: string,
  x: Node,
  { width, heads, hasBias }: { readonly width: number; readonly heads: number; readonly hasBias: boolean },
): Attention {
  const project = (part: string, place: number) =>
    partLinear(builder, { name, of: 3 * width, hasBias, part, rows: range(place * width, width) }, x);
  return { query: project('query', 0), key: project('key', 1), value: project('value', 2), heads };
}

/** Lists `count` numbers from `start` on. */
export function range(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + i);
}
