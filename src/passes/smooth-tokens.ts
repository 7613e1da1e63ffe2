import type { Pass } from '../ir/pass.ts';
import { absMax, type ChannelStatistics } from '../ir/statistics.ts';
import { SIDE_NEURONS, smoothBy } from './smooth-activations.ts';
import { cappedScale, type Smoothing } from './smoothing/smoothing-scale.ts';
import type { SmoothingSite } from './smoothing/smoothing-sites.ts';

/**
 * Chooses scales for channels that are loud at every token, as a norm's are. A GELU's loud neurons are loud at one token
 * or two, so that scales for them harm the others (a MiniLM: 27.6 dB with, 29.1 without); they only leave the integers,
 * which makes that 30.2 dB at the same speed.
 */
function choose({ value, readers, neurons }: SmoothingSite, { min, max, rms }: ChannelStatistics): Smoothing {
  const smoothed = {
    weights: readers.map(({ weight }) => weight.tensor),
    size: max.map((most, c) => absMax({ min: min[c] as number, max: most })),
    power: rms.map((each) => each * each),
  };
  return value.op === 'gelu' ? cappedScale(smoothed, neurons ? SIDE_NEURONS : 0, []) : cappedScale(smoothed, 0);
}

/**
 * Smooths what linears read that round each token by its own range: channels that are loud at every token take the steps
 * of all others there, too.
 */
export const smoothTokens: Pass = {
  name: 'smooth-tokens',
  summary: 'linear(layerNorm(x))  ->  linear(… * 1/s) with s in its weight, for linears that round each token alone',
  keeps: 'values',
  run: (graph, context) => smoothBy(choose, graph, context),
};
