import type { Tensor } from '../../ir/tensor.ts';
import type { PerChannel } from '../affine.ts';
import { noiseBehind, type PreparedReader, preparedReader } from '../streams/stream-balance.ts';

/** A value that linears read, with what scales of its channels are chosen by. */
export interface SmoothedValue {
  /** The weights [out, channels] of its readers. */
  readonly weights: readonly Tensor[];
  /** The largest magnitude of each channel, or half its range where that lies on one side of zero. */
  readonly size: PerChannel;
  /** The mean square of each channel. */
  readonly power: PerChannel;
}

/** Scales for the channels of a value, with what they are expected to bring. */
export interface Smoothing {
  /** What the value is divided by before it is rounded, and its readers' columns are multiplied by. */
  readonly scale: PerChannel;
  /** The channels whose part of the readers' results is computed in floats, beside the integers. */
  readonly aside: readonly number[];
  /** Whether each token is divided by its own peak as well, before it is rounded. */
  readonly byPeak: boolean;
  /** The square of the noise in the readers' results as a share of theirs, as the value is and with these scales. */
  readonly noiseBefore: number;
  readonly noise: number;
}

/** The shares of channels that stay as they are, of which the best is taken. */
const KEPT_SHARES = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];

/**
 * Chooses scales s[channel] = max(1, size[channel] / cap): loud channels are brought down to a cap, all others stay.
 * The cap is the one that leaves the least noise in the readers' results when values get 8 bits per tensor and weights
 * 8 bits per row: loud channels take steps from all others, loud columns take them from the rest of their rows. The
 * `aside` loudest channels are left out of both. Without shares of channels to keep, all stay as they are.
 */
export function cappedScale(
  { weights, size, power }: SmoothedValue,
  aside: number,
  keptShares: readonly number[] = KEPT_SHARES,
): Smoothing {
  const order = [...size.keys()].sort((a, b) => (size[b] as number) - (size[a] as number) || a - b);
  const left = order.slice(0, aside);
  const before = weights.map((weight) => preparedReader({ weight, size, power }, 'weight'));
  const quiet = filled(power, order.slice(0, Math.ceil(LOUD_SHARE * order.length)), 0);
  const share = before.reduce((sum, reader) => sum + quietShare(reader, quiet), 0) / before.length;
  const readers = before.map((reader) => ({ ...reader, size: filled(size, left, 0), power: filled(power, left, 0) }));
  const ones = new Float64Array(size.length).fill(1);
  let scale: PerChannel = ones;
  let noise = noiseOf(readers, filled(ones, left, NO_COLUMN));
  for (const kept of keptShares) {
    const cap = size[order[Math.floor((1 - kept) * order.length)] as number] as number;
    if (cap <= 0) continue;
    const capped = size.map((value) => Math.max(1, value / cap));
    const found = noiseOf(readers, filled(capped, left, NO_COLUMN));
    if (!(found < noise)) continue;
    noise = found;
    scale = filled(capped, left, 1);
  }
  return { scale, aside: left, byPeak: false, noiseBefore: noiseOf(before, ones) / share, noise: noise / share };
}

/**
 * The share of channels that are no part of the results that noise is compared with: a neuron that is loud at [CLS]
 * alone has most of the power, and no part in the results of other tokens.
 */
const LOUD_SHARE = 0.01;

/** The share of the power of a reader's results, if channels are independent, that some channels' powers make. */
function quietShare({ squares, rows }: PreparedReader, power: PerChannel): number {
  return squares.reduce((sum, square, c) => sum + square * (power[c] as number), 0) / rows;
}

/** A scale that makes a column vanish. */
const NO_COLUMN = 1e-30;

function filled(values: PerChannel, channels: readonly number[], value: number): PerChannel {
  const changed = values.slice();
  for (const c of channels) changed[c] = value;
  return changed;
}

function noiseOf(readers: readonly PreparedReader[], scale: PerChannel): number {
  return readers.reduce((sum, reader) => sum + noiseBehind(reader, scale), 0) / readers.length;
}
