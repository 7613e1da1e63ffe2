import type { Pass } from '../ir/pass.ts';
import { absMax, type ChannelStatistics } from '../ir/statistics.ts';
import { SIDE_NEURONS, smoothBy } from './smooth-activations.ts';
import { cappedScale, type SmoothedValue, type Smoothing } from './smoothing/smoothing-scale.ts';
import type { SmoothingSite } from './smoothing/smoothing-sites.ts';

/**
 * Chooses scales for every value, a GELU's among them: a range that all tokens share reaches as far as the loudest token,
 * so that loud neurons take the steps of all tokens. Neurons that are loud at [CLS] alone need more than a scale: those
 * leave the integers. Both together would be 0.4 dB better on a MiniLM, for 2 % of the time.
 */
function choose({ value, readers, neurons }: SmoothingSite, { min, max, rms }: ChannelStatistics): Smoothing {
  const isGelu = value.op === 'gelu';
  const smoothed: SmoothedValue = {
    weights: readers.map(({ weight }) => weight.tensor),
    size: max.map((most, c) => {
      const least = min[c] as number;
      return isGelu ? (most - least) / 2 : absMax({ min: least, max: most });
    }),
    power: rms.map((size) => size * size),
  };
  const scaled = cappedScale(smoothed, 0);
  if (!isGelu || !neurons) return scaled;
  const beside = cappedScale(smoothed, SIDE_NEURONS, []);
  return scaled.noise < beside.noise ? scaled : beside;
}

/**
 * Smooths what linears read that round a whole value by one range, found at run time or calibrated. It is faster than to
 * divide each token by its peak and not as near to the float model.
 */
export const smoothTensors: Pass = {
  name: 'smooth-tensors',
  summary: 'linear(layerNorm(x)), linear(gelu(x))  ->  linear(… * 1/s), for linears that round all tokens by one range',
  keeps: 'values',
  run: (graph, context) => smoothBy(choose, graph, context),
};
