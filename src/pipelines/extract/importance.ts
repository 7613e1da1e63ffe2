import type { Graph, Node } from '../../ir/graph.ts';
import { readF32 } from '../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { constantLinear } from '../../passes/attention.ts';
import { outputGradients } from '../../passes/prune/output-gradients.ts';
import { randomNumbers } from '../../solve/random-numbers.ts';
import { type Axis, axesOf, layerIn } from './axes.ts';

/** Ways in which it is decided which channels are worth keeping; `scratch` keeps none, and draws weights anew. */
export const METHODS = ['importance', 'activations', 'random', 'scratch'] as const;
export type Method = (typeof METHODS)[number];

/** Those that rank channels by what they are on texts. */
export type MeasuredMethod = Exclude<Method, 'random' | 'scratch'>;

export function isMeasured(method: Method): method is MeasuredMethod {
  return method !== 'random' && method !== 'scratch';
}

/** How much each channel of the teacher is worth. */
export interface Importance {
  readonly hidden: Float64Array;
  /** Of each layer, channel by channel of its heads. */
  readonly heads: readonly Float64Array[];
  readonly neurons: readonly Float64Array[];
}

/** Sizes of what is ranked. */
interface Sizes {
  readonly layers: number;
  readonly hidden: number;
  readonly intermediate: number;
}

/** Random worths by a seed: what any better method has to beat. */
export function randomImportance({ layers, hidden, intermediate }: Sizes, seed: number): Importance {
  const random = randomNumbers(seed);
  const draw = (count: number) => Float64Array.from({ length: count }, random);
  const perLayer = (count: number) => Array.from({ length: layers }, () => draw(count));
  return { hidden: draw(hidden), heads: perLayer(hidden), neurons: perLayer(intermediate) };
}

/**
 * Ranks channels by what the linears of the teacher read. `importance` is the first-order Taylor term of leaving one out,
 * Σ_texts |Σ_tokens g h|, with the gradients g of the answers by the channel's values h (ETD-Impt of Chen et al. 2021,
 * arXiv 2106.02241). `activations` needs no gradients: Σ h² Σ_out w², the energy that a channel gives to what reads it.
 * What several linears read of a hidden channel, in all layers, is added up: it is kept everywhere or nowhere.
 */
export async function measuredImportance(
  teacher: Graph,
  method: MeasuredMethod,
  { layers, hidden, intermediate }: Sizes,
  runs: TextRuns,
): Promise<Importance> {
  const perLayer = (count: number) => Array.from({ length: layers }, () => new Float64Array(count));
  const sums = { hidden: new Float64Array(hidden), heads: perLayer(hidden), neurons: perLayer(intermediate) };
  const places = placesOf(teacher);
  const nodes = [...new Set(places.map(({ x }) => x))];
  const values = await runs.compute(teacher, nodes, new Map());
  const matrixOf = (node: Node) => runs.matrixOf(values.get(node) as BatchValues);
  const names = new Set(nodes.map(({ name }) => name));
  const gradients = method === 'importance' ? await outputGradients(teacher, names, runs) : undefined;
  const seen = new Set<Node>();
  for (const { x, weight, axis, layer } of places) {
    const sum = axis === 'hidden' ? sums.hidden : (sums[axis][layer] as Float64Array);
    if (gradients === undefined) addEnergy(sum, matrixOf(x), weight);
    else if (!seen.has(x)) {
      const gradient = gradients.get(x.name);
      if (gradient) addTaylor(sum, matrixOf(x), gradient);
    }
    seen.add(x);
  }
  return sums;
}

/** A value that a linear inside a layer reads. */
interface Place {
  readonly x: Node;
  readonly weight: Float32Array;
  readonly axis: Exclude<Axis, 'whole'>;
  readonly layer: number;
}

function placesOf(teacher: Graph): Place[] {
  return teacher.nodes().flatMap((node) => {
    const linear = constantLinear(node);
    const layer = layerIn(node.name);
    if (!linear) return [];
    const axis = axesOf(linear.weight.name)?.[1];
    if (layer === undefined || axis === undefined || axis === 'whole') return [];
    return [{ x: linear.x, weight: readF32(linear.weight.tensor), axis, layer }];
  });
}

function addEnergy(sum: Float64Array, { values, rows, columns }: TextMatrix, weight: Float32Array): void {
  const energy = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++, at++) energy[c] = (energy[c] as number) + (values[at] as number) ** 2;
  }
  const squares = new Float64Array(columns);
  for (let at = 0; at < weight.length; ) {
    for (let c = 0; c < columns; c++, at++) squares[c] = (squares[c] as number) + (weight[at] as number) ** 2;
  }
  for (let c = 0; c < columns; c++) sum[c] = (sum[c] as number) + (energy[c] as number) * (squares[c] as number);
}

function addTaylor(sum: Float64Array, h: TextMatrix, g: TextMatrix): void {
  const { columns, rows, sequence } = h;
  const text = new Float64Array(columns);
  for (let row = 0, at = 0; row < rows; row++) {
    for (let c = 0; c < columns; c++, at++)
      text[c] = (text[c] as number) + (h.values[at] as number) * (g.values[at] as number);
    // Rows of one text are neighbours.
    if (row + 1 < rows && sequence[row + 1] === sequence[row]) continue;
    for (let c = 0; c < columns; c++) sum[c] = (sum[c] as number) + Math.abs(text[c] as number);
    text.fill(0);
  }
}
