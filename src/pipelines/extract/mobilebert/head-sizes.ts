import type { TextMatrix, TextRuns } from '../../../ir/text-runs.ts';
import { channelsOf } from '../../../passes/prune/cut-group.ts';
import { turned } from '../../../solve/matrices.ts';
import { reducedRank, unwhitened } from '../../../solve/reduced-rank.ts';
import { diagonalSum, factorWithRidge } from '../../../solve/ridge.ts';
import { columnsOf, meanOf } from '../../../solve/rows.ts';
import { joinColumns, mapRows } from './text-maps.ts';

/** What attention reads: channels are head after head. */
export interface HeadValues {
  readonly query: TextMatrix;
  readonly key: TextMatrix;
  readonly value: TextMatrix;
}

/** Sizes of the heads before and after. */
export interface HeadSizes {
  readonly heads: number;
  readonly from: number;
  readonly to: number;
}

/** The ridge of a head's products as a share of their mean, so that a head that is constant has a factor, too. */
const RIDGE = 1e-6;

/**
 * Makes heads narrower: queries and keys so that their products, the scores, keep as much as they can, values so that
 * `output` [hidden, heads · from] gives as near a result as it can. Heads of one size stay as they are.
 */
export async function resizeHeads(
  { query, key, value }: HeadValues,
  output: Float32Array,
  { heads, from, to }: HeadSizes,
  runs: TextRuns,
): Promise<HeadValues> {
  if (from === to) return { query, key, value };
  const parts = { query: [] as TextMatrix[], key: [] as TextMatrix[], value: [] as TextMatrix[] };
  // A score is q·k / √size.
  const scale = Math.sqrt(to / from);
  for (let head = 0; head < heads; head++) {
    const channels = channelsOf([head], from);
    const own = (matrix: TextMatrix) => ({ ...matrix, values: columnsOf(matrix, channels), columns: from });
    const [q, k, v] = [own(query), own(key), own(value)];
    // An offset of all keys moves all scores of a query alike, which softmax does not see.
    const keys = await factorOf({ ...k, mean: meanOf(k) }, runs);
    const scores = reducedRank(turned(lower(keys, from), from), from, { rank: to, factor: await factorOf(q, runs) });
    const mixing = { values: output, rows: output.length / (heads * from), columns: heads * from };
    const mixed = reducedRank(Float64Array.from(columnsOf(mixing, channels)), from, {
      rank: to,
      factor: await factorOf({ ...v, mean: meanOf(v) }, runs),
    });
    const queryMap = scores.reduce.map((weight) => weight * scale);
    parts.query.push(await mapRows(q, queryMap, runs));
    parts.key.push(await mapRows(k, unwhitened(turned(scores.expand, to), keys, from), runs));
    parts.value.push(await mapRows(v, mixed.reduce, runs));
  }
  return { query: joinColumns(parts.query), key: joinColumns(parts.key), value: joinColumns(parts.value) };
}

async function factorOf(matrix: TextMatrix, runs: TextRuns): Promise<Float64Array> {
  const size = matrix.columns;
  const gram = await runs.product(matrix, matrix);
  return factorWithRidge(gram, size, (RIDGE * diagonalSum(gram, size)) / size);
}

/** The lower triangle of a factor, whose upper one means nothing, with zeros above it. */
function lower(factor: Float64Array, size: number): Float64Array {
  return factor.map((value, at) => (at % size > Math.floor(at / size) ? 0 : value));
}
