import type { Call, Node } from '../ir/graph.ts';
import { tokenInput } from '../ir/names.ts';
import { isNarrowWeight, LEAST_SIZE } from '../ir/narrow.ts';
import { opDef } from '../ir/ops/index.ts';
import type { Granularity } from './weights.ts';

/** The schemes for a whole model. */
export const SCHEMES = ['dynamic', 'int8', 'f16', 'w4', 'int16x8'] as const;
export type Scheme = (typeof SCHEMES)[number];

/**
 * The schemes for one node. `float`: as it was. `dynamic`: integer weights, the runtime finds the activation's range in
 * each run. `w8`, `w4`: 8-bit and 4-bit weights, float activations. `int8`, `int16x8`: calibrated integer activations,
 * 8-bit weights. A table is only stored: `w4` with 4 bits, every other but `float` with 8.
 */
export const NODE_SCHEMES = ['float', 'dynamic', 'w8', 'w4', 'int8', 'int16x8'] as const;
export type NodeScheme = (typeof NODE_SCHEMES)[number];

/** The ways to choose the range of calibrated values. */
export const RANGE_METHODS = ['minmax', 'percentile', 'mse', 'entropy'] as const;
export type RangeMethod = (typeof RANGE_METHODS)[number];

/**
 * The ways in which a linear's weight becomes integers: each element to the nearest, or so that errors make up for one
 * another where the calibration samples say that they meet. Other weights and tables have no choice.
 */
export const ROUNDINGS = ['nearest', 'gptq'] as const;
export type Rounding = (typeof ROUNDINGS)[number];

/** The quantization of one node. */
export interface Settings {
  readonly scheme: NodeScheme;
  /** The granularity of the weight or table. */
  readonly granularity: Granularity;
  /** The rounding of a linear's weight. */
  readonly rounding: Rounding;
  /** The method for the range of what the node reads as calibrated integers. */
  readonly range: RangeMethod;
}

/** Every node that a form can quantize, with its settings, in graph order. */
export type SettingsMap = ReadonlyMap<Call, Settings>;

/** Whether a node multiplies by a constant weight, which is its second input. */
export function hasWeight(node: Node): node is Call<'linear' | 'conv1d'> {
  return (node.op === 'linear' || node.op === 'conv1d') && node.inputs[1]?.op === 'constant';
}

/** Whether a node is a linear whose weight is rounded by what the calibration samples say. */
export function isCompensated(node: Node, settings: Settings | undefined): node is Call<'linear'> {
  return node.op === 'linear' && hasWeight(node) && settings?.scheme !== 'float' && settings?.rounding === 'gptq';
}

/**
 * Whether a node looks up rows in a constant table by what a model is given: a look-up by distances gives biases of
 * scores, not tokens.
 */
export function isTable(node: Node): node is Call<'gather'> {
  if (node.op !== 'gather' || node.attrs.axis !== 0) return false;
  const [table, indices] = node.inputs as readonly [Node, Node];
  return table.op === 'constant' && table.type.shape.length === 2 && readsInput(indices);
}

/** Whether a node looks up words: rows of a table by token ids, not by types, or by positions that are computed. */
export function isWordTable(node: Node): node is Call<'gather'> {
  if (!isTable(node)) return false;
  let ids = node.inputs[1] as Node;
  while (ids.op === 'reshape' || ids.op === 'cast') ids = ids.inputs[0] as Node;
  return ids.op === 'input' && tokenInput(ids.name) === 'input_ids';
}

/** Whether a node takes the first rows of a constant table, as many as the run has tokens: learned positions. */
export function isPositions(node: Node): node is Call<'slice'> {
  if (node.op !== 'slice' || node.attrs.axis !== 0 || typeof node.attrs.end !== 'string') return false;
  const table = node.inputs[0] as Node;
  return table.op === 'constant' && table.type.shape.length === 2 && table.type.dtype !== 'i64';
}

/** The place of the constant that a node stores as integers where its settings say so: its weight, or its rows. */
export function storedPlace(node: Node): 0 | 1 | undefined {
  if (hasWeight(node)) return 1;
  return isTable(node) || isPositions(node) ? 0 : undefined;
}

function readsInput(node: Node): boolean {
  const stack = [node];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (at.op === 'input') return true;
    stack.push(...at.inputs);
  }
  return false;
}

/**
 * Whether a node is too small to gain from integers: a classifier or span head, the product of a few channels that is
 * added beside integers, and the table of token types, whose error every token would share (37 dB alone on a MiniLM
 * whose word table has 50 dB).
 */
export function isNarrow(node: Call): boolean {
  const place = storedPlace(node);
  const shape = place === undefined ? undefined : node.inputs[place]?.type.shape;
  if (shape === undefined) return false;
  return isAddend(node) ? isNarrowWeight(shape) : (shape[0] as number) < LEAST_SIZE;
}

function isAddend(node: Call): boolean {
  return node.op === 'linear' && node.users.size === 1 && [...node.users].every(({ op }) => op === 'add');
}

/**
 * Whether a node is a linear or convolution that reads embeddings with nothing but moves between, as MobileBERT's
 * trigram front. A table quantized per row, then again per tensor, is the largest error of an int8 MobileBERT.
 */
export function isFront(node: Call): boolean {
  if (!hasWeight(node)) return false;
  const stack: Node[] = [node.inputs[0] as Node];
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    if (isTable(at)) continue;
    if (at.op === 'input' || at.op === 'constant' || opDef(at.op).moves === undefined) return false;
    stack.push(...at.inputs);
  }
  return true;
}
