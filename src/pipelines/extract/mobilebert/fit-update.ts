import type { TextMatrix, TextRuns } from '../../../ir/text-runs.ts';
import { solveCholesky } from '../../../solve/cholesky.ts';
import { featuresOf } from '../../../solve/features.ts';
import { limitGains } from '../../../solve/fit-layer.ts';
import { columnRange, minus, times, timesTransposed, turned } from '../../../solve/matrices.ts';
import { diagonalSum, factorWithRidge } from '../../../solve/ridge.ts';
import { meanOf, sumsOf } from '../../../solve/rows.ts';
import { symmetricEigen } from '../../../solve/symmetric-eigen.ts';
import { joinColumns, mapRows, regress } from './text-maps.ts';

/** What a layer adds to the residual stream, y ≈ gain∘x + offset + fromState · s + fromUpdate · (reduce · h). */
export interface Update {
  /** A gain for each channel of the stream. */
  readonly gain: Float64Array;
  readonly offset: Float64Array;
  /** The matrix [hidden, state]. */
  readonly fromState: Float64Array;
  /** The matrix [hidden, rank]. */
  readonly fromUpdate: Float64Array;
  /** The matrix [rank, features]. */
  readonly reduce: Float64Array;
}

/** Values that an update is made of. */
export interface UpdateProblem {
  /** The stream before the layer, x [rows, hidden]. */
  readonly x: TextMatrix;
  /** The stream behind it as the teacher has it, y [rows, hidden]. */
  readonly y: TextMatrix;
  /** The part of the bottleneck that is there already, s [rows, state]. */
  readonly state: TextMatrix;
  /** All that can be read, h [rows, features]. */
  readonly features: TextMatrix;
  /** The width that is left for the update. */
  readonly rank: number;
}

/** Turns of gains and directions, each fitted to the other: more change the error by less than a hundredth. */
const TURNS = 4;

/** The ridge of the state's products, as a share of their mean. */
const RIDGE = 1e-6;

/**
 * Fits an update of a rank by alternating least squares: the directions [hidden, rank] are the eigenvectors of what gains
 * and state leave over, the gains what the directions do.
 */
export async function fitUpdate({ x, y, state, features: h, rank }: UpdateProblem, runs: TextRuns): Promise<Update> {
  const width = x.columns;
  const features = await featuresOf(h, runs);
  const target = await regress(features, y, runs);
  // The stream as the features see it: itself where they hold it.
  const stream = await regress(features, x, runs);
  const fitted = await mapRows(h, target.map, runs);
  const seen = await mapRows(h, stream.map, runs);
  const joined = joinColumns([fitted, seen, state]);
  const centred = { ...joined, mean: meanOf(joined) };
  const gram = await runs.product(centred, centred);
  const size = joined.columns;
  const block = (row: number, rows: number, column: number, columns: number) =>
    columnRange(gram.subarray(row * size, (row + rows) * size), size, column, column + columns);
  const ss = block(2 * width, state.columns, 2 * width, state.columns);
  const factor = factorWithRidge(ss, state.columns, (RIDGE * diagonalSum(ss, state.columns)) / state.columns);
  const sy = block(0, width, 2 * width, state.columns);
  const sx = block(width, width, 2 * width, state.columns);
  const solved = (sides: Float64Array) => {
    const result = sides.slice();
    solveCholesky(factor, state.columns, result);
    return result;
  };
  const [stateOfY, stateOfX] = [solved(sy), solved(sx)];
  const yy = minus(block(0, width, 0, width), timesTransposed(stateOfY, sy, state.columns));
  const yx = minus(block(0, width, width, width), timesTransposed(stateOfY, sx, state.columns));
  const xx = minus(block(width, width, width, width), timesTransposed(stateOfX, sx, state.columns));
  const sums = sumsOf({ ...x, mean: meanOf(x) }, { ...y, mean: meanOf(y) });
  const fallback = Float64Array.from(sums.zz, (zz, c) => (zz > 0 ? (sums.zy[c] as number) / zz : 1));
  let gain = limited(
    Float64Array.from(fallback, (value, c) => {
      const own = xx[c * width + c] as number;
      return own > RIDGE * (sums.zz[c] as number) ? (yx[c * width + c] as number) / own : value;
    }),
  );
  let directions = topDirections(left(yy, yx, xx, gain), width, rank);
  for (let turn = 1; turn < TURNS; turn++) {
    gain = limited(gainsFor(directions, gain, { yx, xx, stateOfY, stateOfX, sx, sums, fallback }));
    directions = topDirections(left(yy, yx, xx, gain), width, rank);
  }
  const scaled = (of: Float64Array, columns: number) =>
    of.map((value, at) => (gain[Math.floor(at / columns)] as number) * value);
  const stateMap = minus(stateOfY, scaled(stateOfX, state.columns));
  // U Uᵀ of the state's part is written by the update as well.
  const fromUpdate = turned(directions, width);
  const fromState = minus(stateMap, times(fromUpdate, times(directions, stateMap, width), rank));
  const error = minus(target.map, scaled(stream.map, h.columns));
  const reduce = times(directions, error, width);
  const [meanH, meanS, meanX, meanY] = [features.h.mean, meanOf(state), meanOf(x), meanOf(y)];
  const written = times(fromUpdate, times(reduce, Float64Array.from(meanH), h.columns), rank);
  const fromMeanState = times(fromState, Float64Array.from(meanS), state.columns);
  const offset = Float64Array.from(
    meanY,
    (value, c) =>
      value - (gain[c] as number) * (meanX[c] as number) - (written[c] as number) - (fromMeanState[c] as number),
  );
  return { gain, offset, fromState, fromUpdate, reduce };
}

/** The covariance of y - gain∘x, without what the state explains. */
function left(yy: Float64Array, yx: Float64Array, xx: Float64Array, gain: Float64Array): Float64Array {
  const width = gain.length;
  const result = new Float64Array(yy.length);
  for (let i = 0, at = 0; i < width; i++) {
    for (let j = 0; j < width; j++, at++) {
      const [gi, gj] = [gain[i] as number, gain[j] as number];
      result[at] =
        (yy[at] as number) -
        gj * (yx[at] as number) -
        gi * (yx[j * width + i] as number) +
        gi * gj * (xx[at] as number);
    }
  }
  return result;
}

/** The directions [rank, width] of the largest eigenvalues. */
function topDirections(covariance: Float64Array, width: number, rank: number): Float64Array {
  return symmetricEigen(covariance, width).vectors.slice(0, rank * width);
}

interface GainSums {
  readonly yx: Float64Array;
  readonly xx: Float64Array;
  readonly stateOfY: Float64Array;
  readonly stateOfX: Float64Array;
  readonly sx: Float64Array;
  readonly sums: { readonly zz: Float64Array; readonly zy: Float64Array };
  readonly fallback: Float64Array;
}

/** The gain of each channel for the present update L: Σ x (y - L) / Σ x². */
function gainsFor(directions: Float64Array, gain: Float64Array, given: GainSums): Float64Array {
  const { yx, xx, stateOfY, stateOfX, sx, sums, fallback } = given;
  const width = gain.length;
  const states = stateOfY.length / width;
  const rank = directions.length / width;
  const errorByX = yx.map((value, at) => value - (gain[Math.floor(at / width)] as number) * (xx[at] as number));
  const reduced = times(directions, errorByX, width);
  return Float64Array.from(fallback, (value, c) => {
    const zz = sums.zz[c] as number;
    if (!(zz > 0)) return value;
    let explained = 0;
    for (let r = 0; r < rank; r++) {
      explained += (directions[r * width + c] as number) * (reduced[r * width + c] as number);
    }
    for (let i = c * states; i < (c + 1) * states; i++) {
      explained += ((stateOfY[i] as number) - (gain[c] as number) * (stateOfX[i] as number)) * (sx[i] as number);
    }
    return ((sums.zy[c] as number) - explained) / zz;
  });
}

function limited(gain: Float64Array): Float64Array {
  limitGains(gain);
  return gain;
}
