import type { Matrix, TextMatrix, TextRuns } from '../ir/text-runs.ts';
import { solveCholesky } from './cholesky.ts';
import type { Features } from './features.ts';
import { meanOf, plus, rowsBetween, type Sums, sumsOf } from './rows.ts';

/**
 * The problem y ≈ gain∘z + D h + offset, channel by channel of y: a student's values z are brought to the teacher's y
 * by what its linear reads, h.
 */
export interface LayerProblem {
  /** The linear's input h [rows, in]; undefined where only gain and offset are fitted. */
  readonly features: Features | undefined;
  /** The student's values [rows, out]. Rows that are not fitted to choose the regularization. */
  readonly z: TextMatrix;
  /** The teacher's values [rows, out]. */
  readonly y: Matrix;
  /** Whether gain is fitted too; else it stays 1. */
  readonly hasGain: boolean;
  /** The exponent of 10 at which the search for the regularization starts. */
  readonly start?: number | undefined;
}

/** The solution of a `LayerProblem`. */
export interface LayerFit {
  readonly gain: Float64Array;
  readonly offset: Float64Array;
  /** The matrix D [out, in]; undefined without features or where none helped on the held-out rows. */
  readonly change: Float64Array | undefined;
  /** The exponent of 10 chosen for the regularization (`ridgeOf` of the features); undefined without `change`. */
  readonly ridge: number | undefined;
  /** The error Σ (y - fit)² / Σ (y - mean)² over held-out rows, mean over channels, with gain and offset alone. */
  readonly errorBefore: number;
  /** The error over held-out rows with gain, offset and D. */
  readonly errorAfter: number;
}

/** The least exponent of 10 that regularizes: below it a Gram matrix in f32 is noise. */
const MIN_EXPONENT = -6;
/** The largest exponent: above it nothing is left of D. */
const MAX_EXPONENT = 1;
/** The exponent at which the search starts where the problem names none. */
const FIRST_EXPONENT = -3;

/** The number of channels that regularizations are compared on: they tell which is right for all. */
const SAMPLED_CHANNELS = 64;

/**
 * The weight of a pull towards the gain that is best without D, as a share of Σ z². Where z is nearly a combination of
 * h, gain and D can stand in for each other, and only the pull decides.
 */
const GAIN_RIDGE = 1e-3;

/** The smallest |gain|, as a share of the median: weights would have to be as much larger to make up for less. */
const MIN_GAIN_TO_MEDIAN = 1 / 50;

/**
 * Solves ridge least squares for gain, D and offset at once; the regularization of D is the one that is best on
 * held-out rows.
 */
export async function fitLayer(
  problem: LayerProblem,
  runs: Pick<TextRuns, 'product' | 'rowsTimes'>,
): Promise<LayerFit> {
  const { hasGain, features } = problem;
  const { fitted } = problem.z;
  const [z, y] = [withMean(problem.z), withMean(problem.y)];
  const [zTrain, zHeld] = partsOf(z, fitted);
  const [yTrain, yHeld] = partsOf(y, fitted);
  const train = sumsOf(zTrain, yTrain);
  const held = sumsOf(zHeld, yHeld);
  const all: Sums = { zz: plus(train.zz, held.zz), zy: plus(train.zy, held.zy), yy: plus(train.yy, held.yy) };
  const aloneOf = (sums: Sums) => (hasGain ? gainAlone(sums) : new Float64Array(z.columns).fill(1));
  const errorBefore = errorOf(held, all, aloneOf(train));
  const plain: LayerFit = {
    gain: aloneOf(all),
    offset: offsetOf(z.mean, y.mean, aloneOf(all)),
    change: undefined,
    ridge: undefined,
    errorBefore,
    errorAfter: errorBefore,
  };
  if (features === undefined || zHeld.rows === 0) return plain;

  const [hTrain, hHeld] = partsOf(features.h, fitted);
  const inTrain = await crossOf(runs, hTrain, zTrain, yTrain);
  const sampled = sampledChannels(z.columns);
  const errors = new Map<number, number>();
  const errorAt = async (exponent: number): Promise<number> => {
    if (exponent < MIN_EXPONENT || exponent > MAX_EXPONENT) return Number.POSITIVE_INFINITY;
    const earlier = errors.get(exponent);
    if (earlier !== undefined) return earlier;
    const factor = features.factorOf('train', exponent);
    const { gain, change } = solve(factor, pick(inTrain, sampled), pickSums(train, sampled), hasGain);
    const predicted = await runs.rowsTimes(hHeld, {
      values: Float32Array.from(change),
      rows: sampled.length,
      columns: features.h.columns,
    });
    const squares = squaredErrors(zHeld, yHeld, { channels: sampled, gain, predicted });
    const error = meanShare(squares, pickSums(held, sampled), pickSums(all, sampled));
    errors.set(exponent, error);
    return error;
  };
  const exponent = await lowest(errorAt, problem.start ?? FIRST_EXPONENT);
  const errorAfter = (await errorAt(exponent)) as number;
  const sampledErrorBefore = errorOf(pickSums(held, sampled), pickSums(all, sampled), picked(aloneOf(train), sampled));
  if (!(errorAfter < sampledErrorBefore)) return plain;

  const inHeld = await crossOf(runs, hHeld, zHeld, yHeld);
  const joined = { size: inTrain.size, hz: plus(inTrain.hz, inHeld.hz), hy: plus(inTrain.hy, inHeld.hy) };
  const { gain, change } = solve(features.factorOf('all', exponent), joined, all, hasGain);
  return {
    gain,
    change,
    offset: offsetOf(z.mean, y.mean, gain, change, features.h.mean),
    ridge: exponent,
    errorBefore: sampledErrorBefore,
    errorAfter,
  };
}

/** The products zᵀh and yᵀh [out, in]. */
interface Cross {
  readonly size: number;
  readonly hz: Float64Array;
  readonly hy: Float64Array;
}

/** A matrix with the mean that products subtract. */
type Centred = Matrix & { readonly mean: Float32Array };

function withMean(matrix: Matrix): Centred {
  return { ...matrix, mean: meanOf(matrix) };
}

/** Splits rows into those that are fitted to and those held out. */
function partsOf(matrix: Centred, fitted: number): readonly [Centred, Centred] {
  const { mean } = matrix;
  return [
    { ...rowsBetween(matrix, 0, fitted), mean },
    { ...rowsBetween(matrix, fitted, matrix.rows), mean },
  ];
}

async function crossOf(runs: Pick<TextRuns, 'product'>, h: Matrix, z: Matrix, y: Matrix): Promise<Cross> {
  return { size: h.columns, hz: await runs.product(z, h), hy: await runs.product(y, h) };
}

/**
 * Minimizes |y - g z - H d|² + ridge |d|² for each channel: with A = (HᵀH + ridge)⁻¹, d = A Hᵀy - g A Hᵀz, and what
 * remains is a quadratic in g alone.
 */
function solve(
  factor: Float64Array,
  { size, hz, hy }: Cross,
  { zz, zy }: Sums,
  hasGain: boolean,
): { readonly gain: Float64Array; readonly change: Float64Array } {
  const channels = zz.length;
  if (!hasGain) {
    const change = hy.map((value, i) => value - (hz[i] as number));
    solveCholesky(factor, size, change);
    return { gain: new Float64Array(channels).fill(1), change };
  }
  const sides = new Float64Array(2 * channels * size);
  sides.set(hy);
  sides.set(hz, channels * size);
  solveCholesky(factor, size, sides);
  const change = sides.subarray(0, channels * size);
  const fromZ = sides.subarray(channels * size);
  const gain = new Float64Array(channels);
  for (let c = 0; c < channels; c++) {
    const [own, cross] = [zz[c] as number, zy[c] as number];
    // Σ z² and Σ z y without the part of z that h explains.
    let ownLeft = own;
    let crossLeft = cross;
    for (let i = c * size; i < (c + 1) * size; i++) {
      ownLeft -= (hz[i] as number) * (fromZ[i] as number);
      crossLeft -= (hz[i] as number) * (change[i] as number);
    }
    const ridge = GAIN_RIDGE * own;
    gain[c] = own > 0 ? (crossLeft + GAIN_RIDGE * cross) / (Math.max(ownLeft, 0) + ridge) : 1;
  }
  limitGains(gain);
  for (let c = 0; c < channels; c++) {
    for (let i = c * size; i < (c + 1) * size; i++) {
      change[i] = (change[i] as number) - (gain[c] as number) * (fromZ[i] as number);
    }
  }
  return { gain, change };
}

/** Keeps gains away from zero, with their signs, in place. */
export function limitGains(gain: Float64Array): void {
  const sizes = gain.map(Math.abs).sort();
  const least = (sizes[sizes.length >> 1] as number) * MIN_GAIN_TO_MEDIAN;
  for (let c = 0; c < gain.length; c++) {
    const value = gain[c] as number;
    if (Math.abs(value) < least) gain[c] = value < 0 ? -least : least;
  }
}

/** The gains that are best without D. Where z is constant any gain is as good: it stays 1. */
function gainAlone({ zz, zy }: Sums): Float64Array {
  const gain = zz.map((own, c) => (own > 0 ? (zy[c] as number) / own : 1));
  limitGains(gain);
  return gain;
}

function offsetOf(
  meanZ: Float32Array,
  meanY: Float32Array,
  gain: Float64Array,
  change?: Float64Array,
  mean?: Float32Array,
): Float64Array {
  return Float64Array.from(meanY, (target, c) => {
    let offset = target - (gain[c] as number) * (meanZ[c] as number);
    if (change && mean) {
      const at = c * mean.length;
      for (let i = 0; i < mean.length; i++) offset -= (change[at + i] as number) * (mean[i] as number);
    }
    return offset;
  });
}

/** Searches for a minimum from `start` in steps of 1, downwards or else upwards, until the next value is no better. */
async function lowest(valueAt: (x: number) => Promise<number>, start: number): Promise<number> {
  let best = start;
  for (const step of [-1, 1]) {
    while ((await valueAt(best + step)) < (await valueAt(best))) best += step;
    if (best !== start) break;
  }
  return best;
}

/** Computes Σ (y - gain z)² of held-out rows over Σ y² for each channel by itself, then their mean. */
function errorOf(held: Sums, all: Sums, gain: Float64Array): number {
  const errors = gain.map((g, c) => {
    const [zz, zy, yy] = [held.zz[c] as number, held.zy[c] as number, held.yy[c] as number];
    return Math.max(0, yy - 2 * g * zy + g * g * zz);
  });
  return meanShare(errors, held, all);
}

/** The part of a fit that belongs to some channels. */
interface Prediction {
  readonly channels: Int32Array;
  /** A gain for each of these channels. */
  readonly gain: Float64Array;
  /** The values of D h [rows, these channels]. */
  readonly predicted: Float32Array;
}

/** Computes Σ (y - gain z - predicted)² of each predicted channel, means subtracted. */
function squaredErrors(z: Centred, y: Centred, { channels, gain, predicted }: Prediction): Float64Array {
  const count = channels.length;
  const errors = new Float64Array(count);
  // y - mean - gain (z - mean) = y - gain z - constant
  const constants = gain.map(
    (g, i) => (y.mean[channels[i] as number] as number) - g * (z.mean[channels[i] as number] as number),
  );
  for (let row = 0, at = 0; row < z.rows; row++) {
    const from = row * z.columns;
    for (let i = 0; i < count; i++, at++) {
      const place = from + (channels[i] as number);
      const error =
        (y.values[place] as number) -
        (gain[i] as number) * (z.values[place] as number) -
        (constants[i] as number) -
        (predicted[at] as number);
      errors[i] = (errors[i] as number) + error * error;
    }
  }
  return errors;
}

/** The mean over channels of errors / Σ y². Channels that do not vary say nothing and are left out. */
function meanShare(errors: Float64Array, held: Sums, all: Sums): number {
  let sum = 0;
  let used = 0;
  for (let c = 0; c < errors.length; c++) {
    if (!((all.yy[c] as number) > 0) || !((held.yy[c] as number) > 0)) continue;
    sum += (errors[c] as number) / (held.yy[c] as number);
    used++;
  }
  return used === 0 ? 0 : sum / used;
}

function sampledChannels(channels: number): Int32Array {
  const count = Math.min(channels, SAMPLED_CHANNELS);
  return Int32Array.from({ length: count }, (_, i) => Math.floor((i * channels) / count));
}

function pick({ size, hz, hy }: Cross, channels: Int32Array): Cross {
  const rows = (values: Float64Array) => {
    const result = new Float64Array(channels.length * size);
    for (let i = 0; i < channels.length; i++) {
      const at = (channels[i] as number) * size;
      result.set(values.subarray(at, at + size), i * size);
    }
    return result;
  };
  return { size, hz: rows(hz), hy: rows(hy) };
}

function pickSums({ zz, zy, yy }: Sums, channels: Int32Array): Sums {
  return { zz: picked(zz, channels), zy: picked(zy, channels), yy: picked(yy, channels) };
}

function picked(values: Float64Array, channels: Int32Array): Float64Array {
  const result = new Float64Array(channels.length);
  for (let i = 0; i < channels.length; i++) result[i] = values[channels[i] as number] as number;
  return result;
}
