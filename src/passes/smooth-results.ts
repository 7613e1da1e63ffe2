import type { Graph, Node } from '../ir/graph.ts';
import { isNarrowWeight } from '../ir/narrow.ts';
import type { Pass, PassContext, PassReport } from '../ir/pass.ts';
import { absMax, type ChannelStatistics } from '../ir/statistics.ts';
import { type PerChannel, perChannel, reciprocal, scaledRows, timesPlus, vectorTensor } from './affine.ts';
import { type ConstantLinear, constantLinear } from './attention.ts';
import { decibels, LOUD_SHARE } from './smoothing/noise.ts';

/**
 * The least noise of a result, as a share of its power, that makes a model one to smooth: a MobileBERT with LayerNorm has
 * 1.5·10⁻³ at most, MiniLMs have 10⁻¹.
 */
const LOUD_NOISE = 3e-3;

/** The least noise of a result that is worth a product in such a model. */
const TANGIBLE_NOISE = 4e-4;

/** The least factor by which the noise has to fall. */
const LEAST_GAIN = 2;

/** The least scale beside the largest: a channel that is 0 in all samples may be more in other texts. */
const LEAST_SCALE = 1e-3;

/** Whether floats alone read a value of a graph whose integers end before norms and GELUs. */
function isReadAsFloats(graph: Graph, node: Node): boolean {
  if (node.users.size === 0 || graph.outputs.some((output) => output.node === node)) return false;
  return [...node.users].every(
    (user) => user.op === 'gelu' || user.op === 'layerNorm' || (user.op === 'add' && isReadAsFloats(graph, user)),
  );
}

/** A linear's result with scales for its channels, and what 8 bits make of it without and with them. */
interface Result {
  readonly linear: ConstantLinear;
  readonly scale: PerChannel;
  readonly before: number;
  readonly after: number;
}

async function run(graph: Graph, context: PassContext): Promise<PassReport> {
  const linears = graph
    .nodes()
    .map(constantLinear)
    .filter((linear) => linear !== null)
    .filter(({ weight }) => !isNarrowWeight(weight.tensor.shape))
    .filter(({ node }) => node.attrs.activation === 'none' && !context.keeps(node) && isReadAsFloats(graph, node));
  if (linears.length === 0) return { rewrites: 0, declined: [] };
  if (!context.statistics) return { rewrites: 0, declined: ['needs calibration samples'] };
  const statistics = await context.statistics(
    linears.map(({ node }) => ({ node, channels: true })),
    'all',
  );
  const results: Result[] = [];
  for (const linear of linears) {
    const channels = statistics.get(linear.node.name)?.channels;
    if (!channels) continue;
    const scale = sizesOf(channels);
    results.push({ linear, scale, ...noises(channels, scale) });
  }
  if (!results.some(({ before }) => before > LOUD_NOISE)) return { rewrites: 0, declined: [] };
  const notes: string[] = [];
  for (const { linear, scale, before, after } of results) {
    if (before < TANGIBLE_NOISE || before < LEAST_GAIN * after) continue;
    const channels = `${scale.length} channels of one size`;
    notes.push(`${linear.node.name}: ${channels}: ${decibels(before)} -> ${decibels(after)} dB`);
    replace(graph, linear, scale);
  }
  return { rewrites: notes.length, declined: [], notes };
}

/** The largest magnitude of each channel. */
function sizesOf({ min, max }: ChannelStatistics): PerChannel {
  const sizes = max.map((most, c) => absMax({ min: min[c] as number, max: most }));
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0) || 1;
  return sizes.map((size) => Math.max(size, LEAST_SCALE * largest));
}

/** The mean square of what 8 bits for the whole value make of it, as a share of its power: as it is, and scaled. */
function noises({ min, max, rms }: ChannelStatistics, scale: PerChannel): Pick<Result, 'before' | 'after'> {
  const count = scale.length;
  const squares = rms.map((size) => size * size).sort();
  const power = squares.slice(0, count - Math.ceil(LOUD_SHARE * count)).reduce((sum, square) => sum + square, 0);
  const width = (factor: (c: number) => number) => {
    const most = max.reduce((largest, value, c) => Math.max(largest, value / factor(c)), 0);
    const least = min.reduce((smallest, value, c) => Math.min(smallest, value / factor(c)), 0);
    return most - least;
  };
  const noiseOf = (range: number, factors: number) => ((range / 255) ** 2 * factors) / (12 * (power || 1));
  const scaled = scale.reduce((sum, factor) => sum + factor * factor, 0);
  return {
    before: noiseOf(
      width(() => 1),
      count,
    ),
    after: noiseOf(
      width((c) => scale[c] as number),
      scaled,
    ),
  };
}

/** Stores a linear's result divided by the scale, which its rows take up, with a product behind it. */
function replace(graph: Graph, { node, x, weight, bias }: ConstantLinear, scale: PerChannel): void {
  const factors = reciprocal(scale);
  const { name } = node;
  graph.replace(node, () => {
    const inputs = [x, graph.constant(scaledRows(weight.tensor, factors), weight.name)];
    if (bias) inputs.push(graph.constant(vectorTensor(timesPlus(factors, perChannel(bias.tensor), null)), bias.name));
    const linear = graph.add('linear', inputs, node.attrs, name);
    return graph.add('mul', [linear, graph.constant(vectorTensor(scale), `${name}.sizes`)], {}, `${name}.scaled`);
  });
}

/**
 * Smooths what linears write where floats read it, as norms and GELUs do between integers. Rows of a weight have scales
 * of their own, so that channels of one size cost nothing but a product of floats: a few loud channels no longer take
 * the steps of all others.
 */
export const smoothResults: Pass = {
  name: 'smooth-results',
  summary: 'gelu(linear(x)), linear(x) + y before a norm  ->  the same of linear(x) * d, with 1/d in its rows',
  keeps: 'values',
  run,
};
