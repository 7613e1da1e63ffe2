import { MbertError } from '../errors.ts';
import type { Node } from '../ir/graph.ts';
import { type Margin, smoothedMargins } from '../ir/smoothed.ts';
import { absMax, type Histogram, type NodeStatistics, type Statistics } from '../ir/statistics.ts';
import type { Quant } from '../ir/tensor.ts';
import { constantRange } from './constants.ts';
import { classesOf, isMover, type Plan, type ValueClass } from './plan.ts';
import { type ActivationDType, quantOf, type Range } from './qparams.ts';
import type { RangeMethod } from './settings.ts';

type TensorQuant = Quant & { readonly per: 'tensor' };

/** The share of values that `percentile` keeps. One in 10⁵ is clipped; p99.9 lost 6 to 14 dB on all models measured. */
const KEPT_SHARE = 0.99999;

/** Whether a method needs a histogram besides the least and largest value. */
export function needsHistogram(method: RangeMethod): boolean {
  return method !== 'minmax';
}

/** Chooses the range of a node's values by a method; it is never wider than what was observed. */
export function chooseRange(statistics: NodeStatistics, method: RangeMethod, dtype: ActivationDType): Range {
  const whole = { least: statistics.min, most: statistics.max };
  const { histogram } = statistics;
  if (method === 'minmax' || histogram === undefined) return whole;
  if (absMax(statistics) === 0) return whole;
  const steps = dtype === 'i16' ? 65535 : 255;
  if (method === 'percentile') return within(percentileRange(histogram, KEPT_SHARE), whole);
  if (method === 'mse') return within(cheapestRange(squaredError, histogram, whole, steps), whole);
  return within(cheapestRange(divergenceOf, histogram, whole, steps), whole);
}

function within(range: Range, whole: Range): Range {
  return { least: Math.max(range.least, whole.least), most: Math.min(range.most, whole.most) };
}

/** Cuts the same number of values off both ends, together 1 - share of all. */
function percentileRange({ limit, counts }: Histogram, share: number): Range {
  const width = (2 * limit) / counts.length;
  let total = 0;
  for (const count of counts) total += count;
  const cut = ((1 - share) / 2) * total;
  const binAt = (step: 1 | -1): number => {
    let passed = 0;
    let bin = step > 0 ? 0 : counts.length - 1;
    for (; bin >= 0 && bin < counts.length; bin += step) {
      passed += counts[bin] as number;
      if (passed > cut) break;
    }
    return bin;
  };
  return { least: -limit + binAt(1) * width, most: -limit + (binAt(-1) + 1) * width };
}

/** The number of ranges that are compared: the whole one shrunk in steps, both ends alike. */
const CANDIDATES = 48;
/** The smallest of them as a share of the whole range: less than a fifth never won on a trained model. */
const LEAST_SHARE = 0.2;

function* shrunk({ least, most }: Range): Iterable<Range> {
  for (let i = 0; i < CANDIDATES; i++) {
    const share = 1 - ((1 - LEAST_SHARE) * i) / (CANDIDATES - 1);
    yield { least: least * share, most: most * share };
  }
}

/** Cost of storing a histogram's values in a range of so many steps. */
type RangeCost = (histogram: Histogram, range: Range, steps: number) => number;

/** Finds the range of least cost; of equal ones the widest. */
function cheapestRange(cost: RangeCost, histogram: Histogram, whole: Range, steps: number): Range {
  let best = whole;
  let least = Number.POSITIVE_INFINITY;
  for (const range of shrunk(whole)) {
    const found = cost(histogram, range, steps);
    if (found < least) {
      least = found;
      best = range;
    }
  }
  return best;
}

/** Squared error of rounding inside a range and of clipping outside. */
function squaredError({ limit, counts }: Histogram, range: Range, steps: number): number {
  const width = (2 * limit) / counts.length;
  const least = Math.min(0, range.least);
  const most = Math.max(0, range.most);
  const step = (most - least) / steps;
  // A value that is rounded to steps is off by step²/12 in the mean.
  const rounding = (step * step) / 12;
  let error = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    const count = counts[bin] as number;
    if (count === 0) continue;
    const value = -limit + (bin + 0.5) * width;
    const over = value > most ? value - most : value < least ? least - value : 0;
    error += count * (over > 0 ? over * over : rounding);
  }
  return error;
}

/**
 * Kullback-Leibler divergence of the rounded distribution from the whole one, as in NVIDIA's "8-bit inference with
 * TensorRT" (2017). Values outside the range count as the outermost one.
 */
function divergenceOf({ limit, counts }: Histogram, { least, most }: Range, steps: number): number {
  const width = (2 * limit) / counts.length;
  const from = Math.max(0, Math.floor((Math.min(0, least) + limit) / width));
  // A bin holds its lower edge: what lies on it, as 1 of a saturated tanh does, is inside.
  const to = Math.min(counts.length, Math.floor((Math.max(0, most) + limit) / width) + 1);
  const inside = counts.slice(from, to);
  let outside = 0;
  for (let bin = 0; bin < counts.length; bin++) if (bin < from || bin >= to) outside += counts[bin] as number;
  const rounded = spreadOverSteps(inside, Math.min(steps + 1, inside.length));
  let below = 0;
  for (let bin = 0; bin < from; bin++) below += counts[bin] as number;
  inside[0] = (inside[0] as number) + below;
  inside[inside.length - 1] = (inside.at(-1) as number) + outside - below;
  let total = 0;
  let roundedTotal = 0;
  for (let i = 0; i < inside.length; i++) {
    total += inside[i] as number;
    roundedTotal += rounded[i] as number;
  }
  let divergence = 0;
  for (let i = 0; i < inside.length; i++) {
    const p = (inside[i] as number) / total;
    if (p > 0) divergence += p * Math.log(p / Math.max((rounded[i] as number) / roundedTotal, Number.MIN_VALUE ** 0.5));
  }
  return divergence;
}

/**
 * Computes counts after rounding to `steps` levels: each level's count in equal parts over those of its bins that hold
 * values.
 */
function spreadOverSteps(counts: Float64Array, steps: number): Float64Array {
  const spread = new Float64Array(counts.length);
  for (let step = 0; step < steps; step++) {
    const from = Math.floor((step * counts.length) / steps);
    const to = Math.floor(((step + 1) * counts.length) / steps);
    let sum = 0;
    let used = 0;
    for (let i = from; i < to; i++) {
      sum += counts[i] as number;
      if ((counts[i] as number) > 0) used++;
    }
    for (let i = from; i < to; i++) if ((counts[i] as number) > 0) spread[i] = sum / used;
  }
  return spread;
}

/**
 * Chooses scale and zero point of every class of a plan. Throws MALFORMED for values that are infinite or NaN, which no
 * range can hold.
 */
export function chooseQuants(
  plan: Plan,
  statistics: Statistics,
  method?: RangeMethod,
): ReadonlyMap<ValueClass, TensorQuant> {
  const quants = new Map<ValueClass, TensorQuant>();
  const marginOf = smoothedMargins(plan.graph);
  for (const values of classesOf(plan)) {
    const observed = values.fixed ? { least: 0, most: 0 } : classRange(values, statistics, marginOf, method);
    const range = values.attention ? attentionRange(observed, values, statistics) : observed;
    quants.set(values, values.fixed ?? quantOf(range, values.dtype, values.symmetric));
  }
  return quants;
}

/**
 * The distance of a mask below all scores. exp(-20) is 2·10⁻⁹: what lies that far below every score has no part in a
 * softmax of eight bits.
 */
const MASK_MARGIN = 20;

/**
 * Computes the range of a mask or of masked scores from that of the scores: a mask of -10000 or less would leave the
 * scores themselves no steps.
 */
function attentionRange(scores: Range, { attention, bias }: ValueClass, statistics: Statistics): Range {
  const most = Math.max(0, bias ? greatestOf(bias, statistics) : 0);
  const least = -(Math.max(-scores.least, scores.most) + most + MASK_MARGIN);
  return { least, most: attention === 'mask' ? most : scores.most + most };
}

function greatestOf(node: Node, statistics: Statistics): number {
  return node.op === 'constant' ? constantRange(node).most : (statistics.get(node.name)?.max ?? 0);
}

/** The range that holds zero and the values of all members. */
function classRange(
  values: ValueClass,
  statistics: Statistics,
  marginOf: (node: Node) => Margin | undefined,
  method = values.method,
): Range {
  let least = 0;
  let most = 0;
  for (const node of values.members) {
    const range = widened(rangeOf(node, statistics, method, values.dtype), marginOf(node));
    if (!Number.isFinite(range.least) || !Number.isFinite(range.most)) {
      throw new MbertError('MALFORMED', `${node.name}: values reach ${range.least} to ${range.most} on the samples`, {
        hint: 'what is infinite in float has no integer; check the samples and the checkpoint',
      });
    }
    least = Math.min(least, range.least);
    most = Math.max(most, range.most);
  }
  return { least, most };
}

function widened({ least, most }: Range, margin: Margin | undefined): Range {
  return margin ? { least: least * margin.least, most: most * margin.most } : { least, most };
}

/**
 * Chooses the range of one member. Where a linear turns float, values that were moved out of its result get a range of
 * their own: that observed before they were moved.
 */
function rangeOf(node: Node, statistics: Statistics, method: RangeMethod, dtype: ActivationDType): Range {
  const observed = statistics.get(node.name);
  if (observed) return chooseRange(observed, method, dtype);
  if (node.op === 'constant') return constantRange(node);
  if (!isMover(node)) throw new Error(`${node.name} was not observed`);
  const sources = node.inputs.map((input) => rangeOf(input, statistics, method, dtype));
  return {
    least: Math.min(...sources.map(({ least }) => least)),
    most: Math.max(...sources.map(({ most }) => most)),
  };
}
