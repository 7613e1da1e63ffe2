import type { Call, Constant, Graph, Node } from '../ir/graph.ts';
import { tokenInput } from '../ir/names.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import { readF32, type Tensor, tensorOf } from '../ir/tensor.ts';
import { principalAxes } from '../solve/principal-axes.ts';
import { vectorTensor } from './affine.ts';

/** The rank where none is asked for: MobileBERT's own word table has 128 columns. */
const DEFAULT_EMBEDDING_RANK = 128;

/** The result of splitting one word table. */
export interface SplitEmbedding {
  /** The name of the look-up's node. */
  readonly name: string;
  /** The table's shape [vocabulary, columns] before the split. */
  readonly shape: readonly [number, number];
  /** The columns of the narrow table. */
  readonly rank: number;
  /** The numbers that the table held. */
  readonly numbersBefore: number;
  /** The numbers that both matrices and the offset hold together. */
  readonly numbersAfter: number;
  /** The error √(Σ weight |row - split row|² / Σ weight |row|²), rows weighted by how often their token comes. */
  readonly relativeError: number;
  /** The relative error with all rows weighted alike. */
  readonly uniformError: number;
}

/**
 * Splits the word table, table[ids] -> narrow[ids] B + mean: T [vocabulary, hidden] less its mean row becomes A B, A
 * [vocabulary, rank] and B [rank, hidden], by singular value decomposition with rows weighted by the tokens' frequency:
 * as MobileBERT's 128-wide embedding, but without training. Frequencies come from the calibration text; without one all
 * tokens count alike.
 */
export const splitEmbedding: Pass = {
  name: 'split-embedding',
  summary: 'table[ids]  ->  linear(narrow table[ids]), the nearest of that width for the words of calibration text',
  keeps: 'shapes',
  run: splitEmbeddings,
};

/** Runs `splitEmbedding`; its report says what happened to each table. */
export function splitEmbeddings(
  graph: Graph,
  context: PassContext,
): PassReport & { readonly splits: readonly SplitEmbedding[] } {
  const splits: SplitEmbedding[] = [];
  const declined: string[] = [];
  for (const node of graph.nodes()) {
    const table = wordTableOf(node);
    if (table === null || context.keeps(node)) continue;
    const result = split(graph, node as Call<'gather'>, table, context);
    if (typeof result === 'string') declined.push(`${node.name}: ${result}`);
    else splits.push(result);
  }
  return { rewrites: splits.length, declined, splits };
}

/** The one word table of a graph that can be split; undefined where there is none, or several. */
export function splittableTable(graph: Graph, keeps: (node: Node) => boolean): Constant | undefined {
  const [found, ...others] = graph.nodes().flatMap((node) => {
    const table = wordTableOf(node);
    const isFree = table !== null && node.type.quant === undefined && table.type.quant === undefined;
    return isFree && !keeps(node) && otherReader(graph, node, table) === undefined ? [table] : [];
  });
  return others.length === 0 ? found : undefined;
}

/**
 * The constant table in which a node looks up words. Token types and positions do not count: their tables have few
 * rows, which leaves nothing to win.
 */
function wordTableOf(node: Node): Constant | null {
  if (node.op !== 'gather' || node.attrs.axis !== 0) return null;
  const [table, indices] = node.inputs as readonly [Node, Node];
  if (table.op !== 'constant' || table.tensor.shape.length !== 2) return null;
  let ids = indices;
  while (ids.op === 'reshape' || ids.op === 'cast') ids = ids.inputs[0] as Node;
  return ids.op === 'input' && tokenInput(ids.name) === 'input_ids' ? table : null;
}

/** Splits one table, or says why not. */
function split(
  graph: Graph,
  node: Call<'gather'>,
  table: Constant,
  { tokenCounts, embeddingRank = DEFAULT_EMBEDDING_RANK }: PassContext,
): SplitEmbedding | string {
  const [count, width] = table.tensor.shape as readonly [number, number];
  if (node.type.quant !== undefined || table.type.quant !== undefined) return 'is stored as integers';
  const reader = otherReader(graph, node, table);
  if (reader !== undefined) return `${reader.name} reads its table as well: split, it would be stored twice`;
  if (typeof embeddingRank === 'number' && width <= embeddingRank) {
    return `has ${width} columns already, no more than the rank ${embeddingRank}`;
  }
  const rows = readF32(table.tensor);
  const weights = tokenWeights(count, tokenCounts);
  const { mean, energies, axes, total } = principalAxes(rows, width, weights);
  const rank = typeof embeddingRank === 'number' ? embeddingRank : leastRank(energies, embeddingRank.share);
  const numbersAfter = rank * (count + width) + width;
  if (numbersAfter >= count * width) {
    return `of rank ${rank} would have ${numbersAfter} numbers, the table has ${count * width}`;
  }
  const basis = axes.subarray(0, rank * width);
  const narrow = projected(rows, width, mean, basis);
  let lost = 0;
  for (let i = rank; i < width; i++) lost += energies[i] as number;
  const { name } = node;
  graph.replace(node, () => {
    const narrowTable = graph.constant(tensorOf('f32', [count, rank], narrow), table.name);
    const narrowRows = graph.add('gather', [narrowTable, node.inputs[1] as Node], node.attrs, `${name}.narrow`);
    const weight = graph.constant(columnsOf(basis, width), `${name}.axes`);
    return graph.add('linear', [narrowRows, weight, graph.constant(vectorTensor(mean), `${name}.mean`)], {}, name);
  });
  return {
    name,
    shape: [count, width],
    rank,
    numbersBefore: count * width,
    numbersAfter,
    relativeError: total > 0 ? Math.sqrt(lost / total) : 0,
    uniformError: uniformError(rows, narrow, mean, basis),
  };
}

/**
 * Finds what reads the table besides the look-up: another reader of the constant, or a decoder's constant with the same
 * numbers.
 */
function otherReader(graph: Graph, node: Node, table: Constant): Node | undefined {
  const own = [...table.users].find((user) => user !== node);
  if (own !== undefined) return own;
  let bytes: Uint8Array | undefined;
  for (const user of graph.nodes()) {
    if (user === node) continue;
    for (const input of user.inputs) {
      if (input.op !== 'constant' || !sameLayout(input.tensor, table.tensor)) continue;
      bytes ??= table.tensor.bytes();
      if (Buffer.compare(bytes, input.tensor.bytes()) === 0) return user;
    }
  }
  return undefined;
}

function sameLayout(a: Tensor, b: Tensor): boolean {
  return a.dtype === b.dtype && a.shape.length === b.shape.length && a.shape.every((dim, i) => dim === b.shape[i]);
}

/**
 * The weight of each row; all sum to 1. Tokens that the text does not have share what Good and Turing estimate for
 * everything unseen: as much as those that came once have together.
 */
export function tokenWeights(count: number, counts: Float64Array | undefined): Float64Array {
  const weights = new Float64Array(count);
  let all = 0;
  let once = 0;
  let seen = 0;
  for (let id = 0; id < count; id++) {
    const occurrences = counts?.[id] ?? 0;
    all += occurrences;
    if (occurrences === 1) once++;
    if (occurrences > 0) seen++;
  }
  if (all === 0) return weights.fill(1 / count);
  // Natural text always has words that came once. Where a text has none, unseen tokens share as much as one such word
  // has.
  const unseen = seen < count ? Math.max(once, 1) / (all + 1) : 0;
  for (let id = 0; id < count; id++) {
    const occurrences = counts?.[id] ?? 0;
    weights[id] = occurrences > 0 ? ((1 - unseen) * occurrences) / all : unseen / (count - seen);
  }
  return weights;
}

/** The smallest rank, at least 1, whose axes keep a share of all energy. */
function leastRank(energies: Float64Array, share: number): number {
  const all = energies.reduce((sum, energy) => sum + energy, 0);
  let kept = 0;
  let rank = 0;
  while (rank < energies.length && (rank === 0 || kept < share * all)) kept += energies[rank++] as number;
  return rank;
}

/** Computes (row - mean) · axis for all rows [count, width] and axes [rank, width]: [count, rank]. */
function projected(rows: Float32Array, width: number, mean: Float64Array, basis: Float64Array): Float32Array {
  const rank = basis.length / width;
  const count = rows.length / width;
  const result = new Float32Array(count * rank);
  const row = new Float64Array(width);
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < width; i++) row[i] = (rows[r * width + i] as number) - (mean[i] as number);
    for (let axis = 0, at = 0; axis < rank; axis++) {
      let sum = 0;
      for (let i = 0; i < width; i++, at++) sum += (row[i] as number) * (basis[at] as number);
      result[r * rank + axis] = sum;
    }
  }
  return result;
}

/**
 * Computes the relative error with all rows weighted alike. Orthonormal axes keep lengths, so a row's squared error is
 * |row - mean|² less the squared length of its projection.
 */
function uniformError(rows: Float32Array, narrow: Float32Array, mean: Float64Array, basis: Float64Array): number {
  const width = mean.length;
  const rank = basis.length / width;
  let all = 0;
  let lost = 0;
  for (let r = 0; r * width < rows.length; r++) {
    for (let i = 0; i < width; i++) {
      const value = rows[r * width + i] as number;
      all += value * value;
      lost += (value - (mean[i] as number)) ** 2;
    }
    for (let axis = 0; axis < rank; axis++) lost -= (narrow[r * rank + axis] as number) ** 2;
  }
  return all > 0 ? Math.sqrt(Math.max(lost, 0) / all) : 0;
}

/** Transposes axes [rank, width] into a linear's weight [out = width, in = rank]. */
function columnsOf(basis: Float64Array, width: number): Tensor {
  const rank = basis.length / width;
  const weight = new Float32Array(basis.length);
  for (let axis = 0; axis < rank; axis++) {
    for (let i = 0; i < width; i++) weight[i * rank + axis] = basis[axis * width + i] as number;
  }
  return tensorOf('f32', [width, rank], weight);
}
