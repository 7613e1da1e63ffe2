import type { Graph, Node } from '../../ir/graph.ts';
import { type Bindings, bindDim, sizeOf } from '../../ir/shape.ts';
import { isQuietPart } from '../../ir/smoothed.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import { layerEnds } from '../../opened/layer-ends.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { inTurn, type Loader } from '../evaluate/in-turn.ts';
import { type CommonShape, inputShape, leadingSizes, paddedLength, runRow } from '../evaluate/running.ts';
import { valueLoaders, valuesOf } from '../evaluate/value-session.ts';
import { plainDecibels } from './decibels.ts';
import type { Inputs } from './inputs.ts';
import { type PairedGraphs, pairValues, type ValuePair } from './pairs.ts';
import type { Side } from './sides.ts';
import type { LayerComparison, LayerError, Parting } from './types.ts';
import { ValueErrors } from './value-errors.ts';

export interface LayersOptions {
  readonly shape: CommonShape;
  readonly inputs: Inputs;
  /** Bytes of values that a run gives at most. Default: `PART_BYTES`. */
  readonly partBytes?: number;
  readonly progress: (done: number, total: number) => void;
}

/**
 * Rows that inner values are compared on: few, as every value of the models is fetched, hundreds of them, with hundreds
 * of numbers for a token.
 */
const ROWS = 8;

/**
 * Bytes of values that a run gives at most: those of a large model are fetched in parts, each in a session of its own,
 * from so many fewer rows, of which there are `MIN_ROWS` at least.
 */
const PART_BYTES = 2 ** 25;
const MIN_ROWS = 2;

/** SQNR above which values count as near: 8-bit integers keep 28 to 50 dB, another computation 0 to 15. */
const NEAR_DB = 20;
/**
 * Smallest loss of SQNR, against the values that it is computed from, that makes a far value the one where models part.
 */
const FALL_DB = 10;

/**
 * Smallest gain of SQNR, by fitting a factor and an offset to each channel, that shows a value to be in other units;
 * where more than RESCALED_SHARE of the values gain that much, the model is in other units.
 */
const GAIN_DB = 10;
const RESCALED_SHARE = 0.25;

/** Compares all values that both models compute, on a few rows. Null where there are none. */
export async function compareLayers(
  reference: Side,
  model: Side,
  options: LayersOptions,
): Promise<LayerComparison | null> {
  let best: LayerComparison | null = null;
  let most = Number.NEGATIVE_INFINITY;
  for (const paired of await pairValues(reference.graph, model.graph)) {
    const { comparison, agreement } = await comparePaired(paired, reference, model, options);
    if (agreement > most) [best, most] = [comparison, agreement];
  }
  return best;
}

/**
 * SQNR above which values count as equal. Of two ways to pair values, the true one has more pairs that agree: their
 * levels are summed, each up to this.
 */
const EQUAL_DB = 60;

/** Compares the pairs of one way to pair; `agreement` is the sum of their levels. */
async function comparePaired(paired: PairedGraphs, reference: Side, model: Side, options: LayersOptions) {
  const { pairs } = paired;
  const { rows } = options.inputs;
  // The longest first: one token alone does not show which values have a row for each.
  const places = rows.slice(0, ROWS).map((_, i) => i);
  places.sort((i, j) => (rows[j] as TokenRow).inputIds.length - (rows[i] as TokenRow).inputIds.length);
  const leading = leadingSizes(inputShape(reference.path, paired.reference).shape, options.shape);
  const lengthOf = (place: number) => paddedLength(options.shape) ?? (rows[place] as TokenRow).inputIds.length;
  const parts = partsOf(
    pairs,
    sizesOf(paired.reference, [...leading, lengthOf(places[0] as number)]),
    options.partBytes,
  );
  places.splice(Math.max(MIN_ROWS, Math.floor(ROWS / parts.length)));
  const errors: (ValueErrors | undefined)[] = [];
  const unlike = new Set<ValuePair>();
  const loaders: (readonly Loader[])[] = [];
  try {
    for (const [side, which] of [
      [reference, 'reference'],
      [model, 'model'],
    ] as const) {
      const values = parts.map((part) => part.map((pair) => pair[which]));
      loaders.push(await valueLoaders(side.path, paired[which], values));
    }
    const [references = [], models = []] = loaders;
    let start = 0;
    for (const [at, part] of parts.entries()) {
      const from = start;
      await inTurn(references[at] as Loader, models[at] as Loader, {
        rows: places.length,
        progress: (done, total) => options.progress(at * total + done, parts.length * total),
        run: (side, turn) => runRow(side, rows, places[turn] as number, options.shape, options.inputs.pad),
        use(turn, expectedOutputs, actualOutputs) {
          const place = places[turn] as number;
          const { length: valid } = (rows[place] as TokenRow).inputIds;
          const [expected, actual] = [valuesOf(expectedOutputs), valuesOf(actualOutputs)];
          const tokens = lengthOf(place) * sizeOf(leading);
          part.forEach((pair, i) => {
            const [a, b] = [expected[i] as Tensor, actual[i] as Tensor];
            // One model computes the value for one token alone, as a classifier's last layer.
            if (isShort(a, b, tokens, valid) || isShort(b, a, tokens, valid)) unlike.add(pair);
            if (unlike.has(pair)) return;
            const sums =
              errors[from + i] ?? new ValueErrors(tokens > 1 ? channelsOf(pair.reference, a, tokens) : undefined);
            errors[from + i] = sums;
            addRows(sums, a, b, tokens, valid);
          });
        },
      });
      start += part.length;
    }
  } finally {
    for (const [loader] of loaders) loader?.remove();
  }
  const { levels, partners, scale } = levelsOf(pairs, errors);
  const describe = (node: Node): LayerError => ({
    name: node.name,
    modelName: (partners.get(node) as Node).name,
    sqnrDb: plainDecibels(levels.get(node) as number),
  });
  const comparison: LayerComparison = {
    samples: places.length,
    compared: levels.size,
    scale,
    layers: layerEnds([...levels.keys()]).map(describe),
    parting: findParting(paired.reference, levels, describe),
  };
  const agreement = [...levels.values()].reduce((sum, level) => sum + Math.min(Math.max(level || 0, 0), EQUAL_DB), 0);
  return { comparison, agreement };
}

/** Sizes of the symbols of a graph's inputs in a run of this shape. */
function sizesOf(graph: Graph, run: readonly number[]): Bindings {
  const shape = graph.inputs[0]?.type.shape ?? [];
  return Object.fromEntries(shape.flatMap((dim, axis) => (typeof dim === 'string' ? [[dim, run[axis] ?? 1]] : [])));
}

/** Pairs in parts whose values take `partBytes` at most in a run. */
function partsOf(pairs: readonly ValuePair[], sizes: Bindings, partBytes = PART_BYTES): (readonly ValuePair[])[] {
  const parts: ValuePair[][] = [[]];
  let left = partBytes;
  for (const pair of pairs) {
    const bytes = 4 * sizeOf(pair.reference.type.shape.map((dim) => bindDim(dim, sizes) ?? 1));
    if (bytes > left && parts.at(-1)?.length) {
      parts.push([]);
      left = partBytes;
    }
    left -= bytes;
    parts.at(-1)?.push(pair);
  }
  return parts;
}

/** True for a value with one row for each token, [batch, tokens, channels] or [batch·tokens, channels]; heads have more. */
function hasTokenRows({ shape }: Tensor, tokens: number): boolean {
  return shape.length <= 3 && sizeOf(shape.slice(0, -1)) === tokens;
}

/** Whether a value has a row for each token, and another one too few numbers for the `valid` ones. */
function isShort(value: Tensor, other: Tensor, tokens: number, valid: number): boolean {
  return hasTokenRows(value, tokens) && sizeOf(other.shape) < valid * (value.shape.at(-1) as number);
}

/**
 * The size of the last axis of a value that has a row for each token; undefined for heads and attention, which have no
 * channels.
 */
function channelsOf({ type }: Node, tensor: Tensor, tokens: number): number | undefined {
  return hasTokenRows(tensor, tokens) && typeof type.shape.at(-1) === 'number' ? tensor.shape.at(-1) : undefined;
}

/**
 * Adds the errors of one row up to its padding; a value that has no row for each token is compared whole, but for what
 * a mask hides.
 */
function addRows(errors: ValueErrors, expected: Tensor, actual: Tensor, tokens: number, valid: number): void {
  const [a, b] = [readF32(expected), readF32(actual)];
  if (hasTokenRows(expected, tokens)) errors.add(a, b, valid * (expected.shape.at(-1) as number));
  else addSeen(errors, a, b);
}

/**
 * Value at or below which a mask hides a score: files have -10000 or less added to it, half of that is far from any
 * score. Whether it is -10000 or the least float says nothing of a model, and would count more than all scores.
 */
const HIDDEN = -5000;

/** Adds the errors of what no mask hides on both sides. */
function addSeen(errors: ValueErrors, expected: Float32Array, actual: Float32Array): void {
  const count = Math.min(expected.length, actual.length);
  const [a, b] = [new Float32Array(count), new Float32Array(count)];
  let seen = 0;
  for (let i = 0; i < count; i++) {
    const [x, y] = [expected[i] as number, actual[i] as number];
    if (x <= HIDDEN && y <= HIDDEN) continue;
    a[seen] = x;
    b[seen++] = y;
  }
  errors.add(a, b, seen);
}

/**
 * The level in dB of each pair that was measured, and the model's node, both by the reference's node. `scale` says
 * whether the channels were fitted before.
 */
function levelsOf(pairs: readonly ValuePair[], errors: readonly (ValueErrors | undefined)[]) {
  const measured = pairs.flatMap((pair, i) => (errors[i] ? [{ ...pair, errors: errors[i] }] : []));
  const gains = measured.filter(
    ({ errors: { directDb, scaledDb } }) => scaledDb !== undefined && scaledDb > directDb + GAIN_DB,
  );
  const isRescaled = gains.length > RESCALED_SHARE * measured.length;
  const levels = new Map<Node, number>();
  const partners = new Map<Node, Node>();
  for (const { reference, model, errors: each } of measured) {
    const { directDb, scaledDb } = each;
    // Heads share the units of the stream that they are cut from, and so does the one token that a last layer computes:
    // too few rows to fit channels to. Probabilities have no units.
    const isUnfitted = scaledDb === undefined && reference.op !== 'softmax';
    // What is left without its loud channels is compared with nothing: their sum is.
    if ((isRescaled && isUnfitted) || isQuietPart(model)) continue;
    partners.set(reference, model);
    levels.set(reference, isRescaled ? (scaledDb ?? directDb) : directDb);
  }
  return { levels, partners, scale: isRescaled ? ('up-to-scale' as const) : ('as-is' as const) };
}

/**
 * Finds where the models part, in the order of computing: the first value that is far while those it is computed from
 * are not, else the first that is far.
 */
function findParting(
  reference: Graph,
  levels: ReadonlyMap<Node, number>,
  describe: (node: Node) => LayerError,
): Parting | null {
  /** Level of each node that was compared; of any other the lowest level of what it is computed from. */
  const reached = new Map<Node, number>();
  let far: Parting | null = null;
  for (const node of reference.nodes()) {
    const before = Math.min(...node.inputs.map((input) => reached.get(input) ?? Number.POSITIVE_INFINITY));
    const level = levels.get(node);
    reached.set(node, level ?? before);
    // Of a NaN nothing is known but that it is not near.
    if (level === undefined || level >= NEAR_DB) continue;
    const parting: Parting = { ...describe(node), op: node.op, before: plainDecibels(before) };
    if (!(before - level < FALL_DB)) return parting;
    far ??= parting;
  }
  return far;
}
