import type { Graph, Node } from '../ir/graph.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import { absMax, type ChannelStatistics } from '../ir/statistics.ts';
import type { PerChannel } from './affine.ts';
import { applySmoothing } from './smoothing/apply-smoothing.ts';
import { cappedScale, type SmoothedValue, type Smoothing } from './smoothing/smoothing-scale.ts';
import { type SmoothingSite, siteAt, smoothingSites } from './smoothing/smoothing-sites.ts';
import { applyGauges } from './streams/apply-gauges.ts';
import { rolesOf } from './streams/streams.ts';

/**
 * The neurons of a feed-forward network and the channels of a norm that are computed in floats beside the integers.
 * Joined by fuse-bottleneck, those of one norm are a linear of fewer than 16 rows, which quantization leaves alone. On
 * a MiniLM 48 neurons were no better, and the loudest 11 take all of the peaks that are 10 times the median.
 */
export const SIDE_NEURONS = 11;
const SIDE_CHANNELS = 4;

/**
 * The least noise of a value that makes a model one to smooth: MobileBERTs with LayerNorm have 1.7·10⁻³ at most and
 * gain a decibel or two at 44 for 8 % of the speed, MiniLMs have 6·10⁻³.
 */
const LOUD_MODEL_NOISE = 2.5e-3;

/** The least noise of a value whose loudest channels may be computed beside. */
const LOUD_NOISE = 1.5e-3;

/**
 * The least noise of a value that is smoothed in such a model, and the least factor by which that has to fall where
 * tokens keep one range.
 */
const TANGIBLE_NOISE = 5e-5;
const LEAST_GAIN = 1.5;

/** The least factor by which noise has to fall further where channels are computed beside. */
const LEAST_SIDE_GAIN = 1.2;

interface Choice {
  readonly site: SmoothingSite;
  readonly smoothing: Smoothing;
}

/**
 * Smooths the values of a graph where one of them is loud, by scales that a function chooses. What is loud is told by
 * ranges of all tokens in every case: it decides whether a file has such ranges at all.
 */
export async function smoothBy(
  chooseScale: (site: SmoothingSite, channels: ChannelStatistics) => Smoothing,
  graph: Graph,
  context: PassContext,
): Promise<PassReport> {
  const sites = smoothingSites(graph, context);
  if (sites.length === 0) return { rewrites: 0, declined: [] };
  if (!context.statistics) return { rewrites: 0, declined: ['needs calibration samples'] };
  const statistics = await context.statistics(
    sites.map(({ value }) => ({ node: value, channels: true })),
    'all',
  );
  const choices: Choice[] = [];
  let isLoud = false;
  for (const site of sites) {
    const channels = statistics.get(site.value.name)?.channels;
    if (!channels) continue;
    choices.push({ site, smoothing: chooseScale(site, channels) });
    isLoud ||= choose(site, channels).noiseBefore > LOUD_MODEL_NOISE;
  }
  if (!isLoud) return { rewrites: 0, declined: [] };
  const chosen = choices.filter(({ smoothing }) => isWorth(smoothing));
  const [notes, summary] = [notesOf(chosen), summaryOf(chosen)];
  apply(graph, context, chosen);
  return { rewrites: chosen.length, declined: [], notes, ...(summary !== undefined && { summary }) };
}

/**
 * Chooses the scales of a value, and whether its loudest channels are computed beside. Behind a GELU neurons are loud at
 * few tokens, each of which is divided by its peak: scales would only make columns of weights loud.
 */
function choose({ value, readers, writer, neurons }: SmoothingSite, channels: ChannelStatistics): Smoothing {
  const { min, max, rms } = channels;
  const isGelu = value.op === 'gelu';
  const smoothed: SmoothedValue = {
    weights: readers.map(({ weight }) => weight.tensor),
    size: max.map((most, c) =>
      isGelu ? (most - (min[c] as number)) / 2 : absMax({ min: min[c] as number, max: most }),
    ),
    power: rms.map((size) => size * size),
  };
  const byPeak = readers.every(({ node }) => node.attrs.activation === 'none');
  if (isGelu && byPeak) return { ...cappedScale(smoothed, neurons ? SIDE_NEURONS : 0, []), byPeak };
  const plain = { ...cappedScale(smoothed, 0), byPeak };
  const hasSide = byPeak && !isGelu && !writer && readers.length === 1;
  if (!hasSide || plain.noiseBefore < LOUD_NOISE) return plain;
  const side = { ...cappedScale(smoothed, SIDE_CHANNELS), byPeak };
  return plain.noise > LEAST_SIDE_GAIN * side.noise ? side : plain;
}

function isWorth({ noiseBefore, noise, byPeak }: Smoothing): boolean {
  return noiseBefore > TANGIBLE_NOISE && (byPeak || noiseBefore > LEAST_GAIN * noise);
}

function apply(graph: Graph, context: PassContext, choices: readonly Choice[]): void {
  const scales = new Map<Node, PerChannel>();
  for (const { site, smoothing } of choices) {
    if (!site.writer) continue;
    scales.set(site.writer.node, smoothing.scale);
    scales.set(site.value, smoothing.scale);
  }
  applyGauges(graph, rolesOf(graph, context), scales, { values: new Map(), constants: new Map() });
  // From the last to the first, so that side networks are made of weights that have no scales in them yet.
  for (const { site, smoothing } of choices.toReversed()) {
    if (site.writer && !smoothing.byPeak) continue;
    const left = site.writer ? { ...smoothing, scale: smoothing.scale.map(() => 1) } : smoothing;
    // Found anew, as other linears stand there by now; those of a side are too narrow to be among them.
    applySmoothing(graph, siteAt(graph, site.value) as SmoothingSite, left);
  }
}

/**
 * One line for each value, and one for all of them together: their noises as if nothing came between them and all tokens
 * had one range.
 */
function notesOf(choices: readonly Choice[]): string[] {
  const notes = choices.map(({ site: { value, neurons }, smoothing: { scale, aside, byPeak, noiseBefore, noise } }) => {
    const count = scale.filter((factor) => factor > 1).length;
    const largest = scale.reduce((most, factor) => Math.max(most, factor));
    const done = [
      ...(count > 0 ? [`${count} of ${scale.length} channels divided by up to ${largest.toFixed(1)}`] : []),
      ...(byPeak ? ['tokens by their peaks'] : []),
      ...(aside.length > 0 ? [`${aside.length} ${neurons ? 'neurons' : 'channels'} in floats beside`] : []),
    ];
    return `${value.name}: ${done.join(', ')}: ${decibels(noiseBefore)} -> ${decibels(noise)} dB`;
  });
  return choices.length < 2 ? notes : [...notes, `all of these: ${totalOf(choices)}`];
}

/** How many values were smoothed, from where to where their noises reach, the loudest value of what is left, and the sum. */
function summaryOf(choices: readonly Choice[]): string | undefined {
  if (choices.length < 2) return undefined;
  const sorted = choices.toSorted((a, b) => b.smoothing.noise - a.smoothing.noise);
  const before = choices.map(({ smoothing }) => smoothing.noiseBefore).sort((a, b) => b - a);
  const range = (noises: readonly number[]) => `${decibels(noises[0] ?? 0)} to ${decibels(noises.at(-1) ?? 0)}`;
  const after = range(sorted.map(({ smoothing }) => smoothing.noise));
  const worst = sorted[0]?.site.value.name;
  return `${choices.length} values: ${range(before)} -> ${after} dB, the least is ${worst}; together ${totalOf(choices)}`;
}

/** The noises of all values together, before and behind. */
function totalOf(choices: readonly Choice[]): string {
  const total = (of: (smoothing: Smoothing) => number) =>
    decibels(choices.reduce((sum, { smoothing }) => sum + of(smoothing), 0));
  return `${total((each) => each.noiseBefore)} -> ${total((each) => each.noise)} dB`;
}

function decibels(noise: number): string {
  return (-10 * Math.log10(noise)).toFixed(1);
}

/**
 * Smooths what linears read where the scale of its channels is not free, as behind LayerNorm and GELU, so that a few
 * loud channels do not take the integer steps of all others. The value is divided by s on its way to these linears
 * alone, their columns are multiplied by it; the residual stream beside is untouched. Attention's contexts take s from
 * the rows of the value's linear, at no cost. The loudest neurons of a feed-forward network, and the loudest channels of
 * the norm before it, leave the integers: their part of the result is a narrow product in floats, which is added. Each
 * token is then divided by its peak, and the linear's result multiplied by it. Where no value is loud, nothing is
 * changed.
 */
export const smoothActivations: Pass = {
  name: 'smooth-activations',
  summary: 'linear(layerNorm(x)), linear(gelu(x))  ->  linear(… * 1/s) with s in its weight, loud channels in floats',
  keeps: 'values',
  run: (graph, context) => smoothBy(choose, graph, context),
};
