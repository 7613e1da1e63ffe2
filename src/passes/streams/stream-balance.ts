import { type Tensor, takeF32 } from '../../ir/tensor.ts';
import type { PerChannel } from '../affine.ts';
import { meanShares } from './stream-scales.ts';

/** A linear that reads a residual stream, with statistics of the stream's channels there, their offsets subtracted. */
export interface StreamReader {
  /** The linear's weight [out, channels]. */
  readonly weight: Tensor;
  /** The largest magnitude of each channel. */
  readonly size: PerChannel;
  /** The mean square of each channel. */
  readonly power: PerChannel;
}

/** The number of steps from scales that make channels equally large to scales that make columns equally large. */
const STEPS = 8;

/**
 * Chooses scales of channels between two ends: `ranges`, which makes all channels equally large, so that none wastes
 * the integer steps of the others; and the reciprocal of the columns that read them, which makes all columns equally
 * large, so that no weight wastes steps. Where only a few tokens make channels large, as in a BERT without its
 * LayerNorm, the first end makes columns large that hardly anything uses (a MiniLM's fitted file: 17.6 dB there, 20.1
 * dB as chosen). Both ends scale with the stream, so that what lies between them does. The choice leaves the least
 * noise in the readers' results when values get 8 bits per tensor and weights 8 bits per row.
 */
export function balancedScale(ranges: PerChannel, readers: readonly StreamReader[]): PerChannel {
  if (readers.length === 0) return ranges;
  const prepared = readers.map((reader) => preparedReader(reader, 'row'));
  // A channel that no weight reads may have any scale.
  const columns = meanShares(prepared.map(({ squares }) => squares.map(Math.sqrt))).map((share) => share || 1);
  let best = ranges;
  let least = Number.POSITIVE_INFINITY;
  for (let step = STEPS; step >= 0; step--) {
    const share = step / STEPS;
    const scale = asLarge(ranges, (range, c) => range ** share * (columns[c] as number) ** (share - 1));
    let noise = 0;
    for (const reader of prepared) noise += noiseBehind(reader, scale);
    if (!(noise < least)) continue;
    least = noise;
    best = scale;
  }
  return best;
}

/** Computes scales by `scaleOf`, then multiplies them so that a stream stays as large on average as with `ranges`. */
function asLarge(ranges: PerChannel, scaleOf: (range: number, channel: number) => number): PerChannel {
  const scale = ranges.map(scaleOf);
  const size = ranges.reduce((sum, range, c) => sum + range / (scale[c] as number), 0) / ranges.length;
  return scale.map((value) => value * size);
}

/** A reader with what its noise is estimated from. */
export interface PreparedReader extends StreamReader {
  /** The weight, divided by the rms that its results have if channels are independent. */
  readonly values: Float32Array;
  /** The sum of squares of each column of `values`. */
  readonly squares: PerChannel;
  /** The number of rows of `values`. */
  readonly rows: number;
}

/**
 * Divides a reader's weight by the rms of its results, so that its noise is a share of these: each row by its own,
 * where results are of different kinds, or the whole weight by that of all rows, where they are summed or compared.
 */
export function preparedReader(reader: StreamReader, by: 'row' | 'weight'): PreparedReader {
  const values = takeF32(reader.weight);
  const { power } = reader;
  const width = power.length;
  const rows = values.length / width;
  const results = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let result = 0;
    for (let c = 0; c < width; c++, at++) result += (values[at] as number) ** 2 * (power[c] as number);
    results[row] = result;
  }
  if (by === 'weight') results.fill(results.reduce((total, result) => total + result, 0) / rows);
  const squares = new Float64Array(width);
  for (let row = 0, at = 0; row < rows; row++) {
    const result = results[row] as number;
    const factor = result > 0 ? 1 / Math.sqrt(result) : 0;
    for (let c = 0; c < width; c++, at++) {
      const value = (values[at] as number) * factor;
      values[at] = value;
      squares[c] = (squares[c] as number) + value * value;
    }
  }
  return { ...reader, values, squares, rows };
}

/**
 * Estimates the square of the noise in a reader's results in proportion to what they were divided by, mean over rows: values have 255
 * steps over the largest channel's range, weights 127 up to the largest of their row, and a rounding error has the
 * variance step²/12.
 */
export function noiseBehind({ values, squares, size, power, rows }: PreparedReader, scale: PerChannel): number {
  const width = scale.length;
  let largest = 0;
  let fromValues = 0;
  let scaledPower = 0;
  for (let c = 0; c < width; c++) {
    const factor = scale[c] as number;
    largest = Math.max(largest, (size[c] as number) / factor);
    fromValues += (squares[c] as number) * factor * factor;
    scaledPower += (power[c] as number) / (factor * factor);
  }
  let rowSquares = 0;
  for (let from = 0; from < values.length; from += width) {
    let most = 0;
    for (let c = 0; c < width; c++) {
      const magnitude = Math.abs(values[from + c] as number) * (scale[c] as number);
      if (magnitude > most) most = magnitude;
    }
    rowSquares += most * most;
  }
  const valueStep = (2 * largest) / 255;
  return (fromValues * valueStep ** 2 + (scaledPower * rowSquares) / 127 ** 2) / (12 * rows);
}
