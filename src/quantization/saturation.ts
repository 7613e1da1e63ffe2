import { storedRange } from '../ir/quantized.ts';
import type { Histogram, Statistics } from '../ir/statistics.ts';
import type { ValueClass } from './plan.ts';
import type { Range } from './qparams.ts';
import type { chooseQuants } from './ranges.ts';

/** The part of a model's values that lies beyond the ranges that it was calibrated to. */
export interface Saturation {
  /** The number of values with a calibrated range, and of those that lose more by its ends than by 8 bits of steps. */
  readonly ranges: number;
  readonly narrow: number;
  /** The share of all elements that lie beyond their ranges, 0 … 1. */
  readonly share: number;
  /** The value that reaches furthest beyond its range, as a multiple of it; undefined where none does. */
  readonly worst: { readonly name: string; readonly reach: number } | undefined;
}

/** Steps of 8 bits: 16 are so fine that all clipping is more than they cost. */
const STEPS = 256;

/** Finds how far the values of texts that were not calibrated on leave the ranges. Statistics need histograms. */
export function saturationOf(quants: ReturnType<typeof chooseQuants>, unseen: Statistics): Saturation {
  let ranges = 0;
  let narrow = 0;
  let beyond = 0;
  let total = 0;
  let worst: { name: string; reach: number } | undefined;
  for (const [values, { scale, zeroPoint }] of quants) {
    if (!isCalibrated(values)) continue;
    const [low, high] = storedRange(values.dtype);
    // What lies half a step beyond an end is rounded to it like all others.
    const range = { least: scale * (low - zeroPoint - 0.5), most: scale * (high - zeroPoint + 0.5) };
    ranges++;
    let noise = 0;
    let count = 0;
    for (const { name } of values.members) {
      const found = unseen.get(name);
      if (!found?.histogram) continue;
      const clipped = clippingOf(found.histogram, range);
      noise += clipped.noise;
      count += clipped.count;
      beyond += clipped.beyond;
      const reach = Math.max(reachOf(found.max, range.most), reachOf(-found.min, -range.least));
      if (reach > (worst?.reach ?? 1)) worst = { name, reach };
    }
    total += count;
    // A value that is rounded to steps is off by step²/12 in the mean.
    if (noise > (count * ((range.most - range.least) / STEPS) ** 2) / 12) narrow++;
  }
  return { ranges, narrow, share: total === 0 ? 0 : beyond / total, worst };
}

/** Whether the range of values was chosen by samples alone. */
export function isCalibrated({ fixed, attention }: ValueClass): boolean {
  return fixed === undefined && attention === undefined;
}

function reachOf(found: number, end: number): number {
  return end > 0 ? found / end : 1;
}

/** The number of values in a histogram, of those beyond a range, and the sum of squares of how far beyond they are. */
function clippingOf({ limit, counts }: Histogram, { least, most }: Range) {
  const width = (2 * limit) / counts.length;
  let count = 0;
  let beyond = 0;
  let noise = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const here = counts[bin] as number;
    count += here;
    // A bin that an end of the range goes through counts as inside.
    const from = -limit + bin * width;
    const over = Math.max(from - most, least - (from + width));
    if (over < 0 || here === 0) continue;
    beyond += here;
    noise += here * (over + width / 2) ** 2;
  }
  return { count, beyond, noise };
}
