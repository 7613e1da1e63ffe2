import type { TextMatrix, TextRuns } from '../../../ir/text-runs.ts';
import { solveCholesky } from '../../../solve/cholesky.ts';
import { type Features, featuresOf } from '../../../solve/features.ts';
import { beside, columnRange, placed, stacked, times, timesTransposed, turned } from '../../../solve/matrices.ts';
import { reducedRank } from '../../../solve/reduced-rank.ts';
import { diagonalSum, factorWithRidge } from '../../../solve/ridge.ts';
import { meanOf, plus, sumsOf } from '../../../solve/rows.ts';
import { fitUpdate } from './fit-update.ts';
import type { HeadValues } from './head-sizes.ts';
import { type MobileBertSizes, stateWidth } from './shape.ts';
import { joinColumns, mapRows, regress } from './text-maps.ts';

/** The teacher's values that a layer of the student is fitted to, in the student's sizes. */
export interface LayerTargets extends HeadValues {
  /** What the neurons read, before their activation [rows, neurons]. */
  readonly neurons: TextMatrix;
  /** How much each neuron's error counts. */
  readonly weights: Float64Array;
  /** The end of the layer [rows, hidden]. */
  readonly output: TextMatrix;
}

/** A linear's weight [out, in] and bias [out]. */
export interface FittedLinear {
  readonly weight: Float64Array;
  readonly bias: Float64Array;
}

/** Linears and norms of a layer by the ends of their names; norms have a gain as weight. */
export type FittedLayer = ReadonlyMap<string, FittedLinear>;

/** What attention reads, as linears of a layer. */
export interface FittedAttention {
  readonly linears: FittedLayer;
  /** What the state takes from the stream where attention reads it, too: [state, hidden]. */
  readonly state: Float64Array | undefined;
}

const noBias = (size: number) => new Float64Array(size);

/**
 * Fits queries, keys and values to those of the teacher. Queries and keys share a bottleneck: their joint map from the
 * stream, of as many channels as that has. With `use_bottleneck_attention` values and neurons share it as well, and it is
 * the state that later linears go on with.
 */
export async function fitAttention(
  x: TextMatrix,
  { query, key, value, neurons, weights }: LayerTargets,
  sizes: MobileBertSizes,
  runs: TextRuns,
): Promise<FittedAttention> {
  const { bottleneck, hidden } = sizes;
  const features = await featuresOf(x, runs);
  const readers = sizes.attentionInBottleneck ? [query, key, value, neurons] : [query, key];
  const target = joinColumns(readers);
  const { map, ridge } = await regress(features, target, runs);
  const factor = features.factorOf('all', ridge);
  const rank = sizes.attentionInBottleneck ? stateWidth(sizes) : bottleneck;
  const shared = reducedRank(map, hidden, { rank, factor, weights: balanced(readers, neurons, weights) });
  const linearOf = (from: number, source: TextMatrix): FittedLinear => {
    const expand = shared.expand.subarray(from * rank, (from + bottleneck) * rank);
    const bias = offsetOf(source, times(expand, times(shared.reduce, meanRow(features), hidden), rank));
    const weight = placed(expand, rank, { rows: bottleneck, columns: bottleneck, row: 0, column: 0 });
    return { weight, bias };
  };
  const linears = new Map([
    ['attention.self.query', linearOf(0, query)],
    ['attention.self.key', linearOf(bottleneck, key)],
  ]);
  if (sizes.attentionInBottleneck) {
    linears.set('attention.self.value', linearOf(2 * bottleneck, value));
    return { linears, state: shared.reduce };
  }
  linears.set('bottleneck.attention.dense', { weight: shared.reduce, bias: noBias(bottleneck) });
  const values = await regress(features, value, runs);
  linears.set('attention.self.value', { weight: values.map, bias: values.offset });
  return { linears, state: undefined };
}

/** What a layer is fitted on once attention has run. */
export interface RestProblem {
  readonly x: TextMatrix;
  /** What attention gives [rows, bottleneck]. */
  readonly context: TextMatrix;
  readonly attention: FittedAttention;
  readonly targets: LayerTargets;
  readonly activate: (values: Float32Array) => Float32Array;
}

/**
 * Fits what comes behind attention. The bottleneck has two parts: the state, which the networks read and nothing changes
 * after attention, and the update, into which attention and networks write what the layer adds to the stream. So networks
 * that stand one behind the other compute what one network of all their neurons would.
 */
export async function fitRest(
  { x, context, attention, targets, activate }: RestProblem,
  sizes: MobileBertSizes,
  runs: TextRuns,
): Promise<FittedLayer> {
  const { bottleneck, hidden, intermediate, feedForwards } = sizes;
  const states = stateWidth(sizes);
  const rank = bottleneck - states;
  const { toState, first } = attention.state
    ? await givenState(x, context, attention.state, targets, runs)
    : await ownState(x, context, targets, states, runs);
  const read = joinColumns([x, context]);
  const state = await mapRows(read, toState, runs);
  const before = await mapRows(state, first.weight, runs, first.bias);
  const neurons = { ...before, values: activate(before.values) };
  // Attention that reads the bottleneck leaves no room in it for the stream but the state.
  const stream = attention.state ? state : x;
  const features = joinColumns([stream, context, neurons]);
  const { gain, offset, fromState, fromUpdate, reduce } = await fitUpdate(
    { x, y: targets.output, state, features, rank },
    runs,
  );
  const width = features.columns;
  const streamPart = columnRange(reduce, width, 0, stream.columns);
  const contextPart = columnRange(reduce, width, stream.columns, stream.columns + bottleneck);
  const neuronPart = columnRange(reduce, width, stream.columns + bottleneck, width);
  const through = (from: number, to: number) => columnRange(toState, read.columns, from, to);
  const [fromStream, fromContext] = [through(0, hidden), through(hidden, hidden + bottleneck)];
  const update = attention.state ? times(streamPart, fromStream, states) : streamPart;
  const toUpdate = attention.state ? plus(contextPart, times(streamPart, fromContext, states)) : contextPart;
  const linears = new Map<string, FittedLinear>([
    ['bottleneck.input.dense', { weight: stacked(fromStream, update), bias: noBias(bottleneck) }],
    ['attention.output.dense', { weight: stacked(fromContext, toUpdate), bias: noBias(bottleneck) }],
    ['output.bottleneck.dense', lastLinear({ fromState, fromUpdate, gain, states, rank })],
    ['output.bottleneck.LayerNorm', { weight: gain, bias: offset }],
  ]);
  for (let n = 0; n < feedForwards; n++) {
    const name = n === feedForwards - 1 ? '' : `ffn.${n}.`;
    const rows = first.weight.subarray(n * intermediate * states, (n + 1) * intermediate * states);
    linears.set(`${name}intermediate.dense`, {
      weight: placed(rows, states, { rows: intermediate, columns: bottleneck, row: 0, column: 0 }),
      bias: first.bias.slice(n * intermediate, (n + 1) * intermediate),
    });
    const part = columnRange(neuronPart, intermediate * feedForwards, n * intermediate, (n + 1) * intermediate);
    linears.set(`${name}output.dense`, {
      weight: placed(part, intermediate, { rows: bottleneck, columns: intermediate, row: states, column: 0 }),
      bias: noBias(bottleneck),
    });
  }
  return linears;
}

interface State {
  /** The matrix [state, hidden + bottleneck] that reads the stream and attention's result. */
  readonly toState: Float64Array;
  /** What neurons read of it. */
  readonly first: FittedLinear;
}

/** Fits a state of a width so that neurons can read of it what they read in the teacher. */
async function ownState(
  x: TextMatrix,
  context: TextMatrix,
  { neurons, weights }: LayerTargets,
  states: number,
  runs: TextRuns,
): Promise<State> {
  const features = await featuresOf(joinColumns([x, context]), runs);
  const { map, ridge } = await regress(features, neurons, runs);
  const factor = features.factorOf('all', ridge);
  const { reduce, expand } = reducedRank(map, features.h.columns, { rank: states, factor, weights });
  const bias = offsetOf(neurons, times(expand, times(reduce, meanRow(features), features.h.columns), states));
  return { toState: reduce, first: { weight: expand, bias } };
}

/** The ridge of the neurons' maps, as a share of their mean. */
const RIDGE = 1e-4;

/** Adds to a given state of the stream what neurons read of attention's result: the nearest of the neurons' own map. */
async function givenState(
  x: TextMatrix,
  context: TextMatrix,
  fromStream: Float64Array,
  { neurons, weights }: LayerTargets,
  runs: TextRuns,
): Promise<State> {
  const states = fromStream.length / x.columns;
  const given = await mapRows(x, fromStream, runs);
  const joined = await featuresOf(joinColumns([given, context]), runs);
  const { map } = await regress(joined, neurons, runs);
  const weighted = (part: Float64Array, columns: number) =>
    part.map((value, at) => value * (weights[Math.floor(at / columns)] as number));
  const readers = turned(weighted(columnRange(map, joined.h.columns, 0, states), states), states);
  const wanted = turned(
    weighted(columnRange(map, joined.h.columns, states, joined.h.columns), context.columns),
    context.columns,
  );
  const gram = timesTransposed(readers, readers, neurons.columns);
  factorWithRidge(gram, states, (RIDGE * diagonalSum(gram, states)) / states);
  const sides = timesTransposed(wanted, readers, neurons.columns);
  solveCholesky(gram, states, sides);
  const fromContext = turned(sides, states);
  const toState = beside(fromStream, x.columns, fromContext, context.columns);
  const features = await featuresOf(await mapRows(joinColumns([x, context]), toState, runs), runs);
  const first = await regress(features, neurons, runs);
  return { toState, first: { weight: first.map, bias: first.offset } };
}

/** The last linear [hidden, state + update], divided by the gains of the norm behind it. */
function lastLinear(part: {
  readonly fromState: Float64Array;
  readonly fromUpdate: Float64Array;
  readonly gain: Float64Array;
  readonly states: number;
  readonly rank: number;
}): FittedLinear {
  const { fromState, fromUpdate, gain, states, rank } = part;
  const width = states + rank;
  const joined = beside(fromState, states, fromUpdate, rank);
  return {
    weight: joined.map((value, at) => value / (gain[Math.floor(at / width)] as number)),
    bias: noBias(gain.length),
  };
}

function meanRow({ h }: Features): Float64Array {
  return Float64Array.from(h.mean);
}

/** The means of values less those of their map. */
function offsetOf(values: TextMatrix, mapped: Float64Array): Float64Array {
  return Float64Array.from(meanOf(values), (mean, i) => mean - (mapped[i] as number));
}

/** Weights by which each reader counts as much as any other; neurons among themselves by their own weights. */
function balanced(readers: readonly TextMatrix[], neurons: TextMatrix, weights: Float64Array): Float64Array {
  const parts = readers.map((reader) => {
    const centred = { ...reader, mean: meanOf(reader) };
    const { zz } = sumsOf(centred, centred);
    const own = reader === neurons ? weights : new Float64Array(reader.columns).fill(1);
    let power = 0;
    for (let c = 0; c < zz.length; c++) power += (zz[c] as number) * (own[c] as number) ** 2;
    return own.map((weight) => (power > 0 ? weight / Math.sqrt(power) : 0));
  });
  return Float64Array.from(parts.flatMap((part) => [...part]));
}
