import { isUnsupported } from '../../errors.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { countOperations, operationsOf } from '../../ir/operation-costs.ts';
import type { Bindings } from '../../ir/shape.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import { chooseSteps } from '../../solve/budget.ts';
import { type RemovalOrder, removalOrder } from '../../solve/removal-order.ts';
import type { Cuts } from '../fit/fit.ts';
import { Prefix } from '../fit/prefix.ts';
import { cutGroup } from './cut-group.ts';
import { type PruneGroup, pruneGroups } from './groups.ts';
import { outputGradients } from './output-gradients.ts';
import { partHalves } from './part-halves.ts';

/**
 * The ridge of the Gram matrices that units are chosen by, as a share of their mean diagonal: the fits that follow choose
 * theirs on held-out text, and mostly this one.
 */
const RIDGE = 1e-2;

/** Neurons go by so many at once, as kernels compute so many channels at a time. */
const NEURONS = 8;

/** What pruning needs to know about a graph, for any budget. */
export interface PrunePlan {
  readonly groups: readonly PlannedGroup[];
  /** Why some of what looks like heads or neurons stays as it is: `name: reason`. */
  readonly declined: readonly string[];
  /** Operations of the whole graph. */
  readonly operations: number;
}

/** A group with the order in which its units go. */
export interface PlannedGroup extends RemovalOrder {
  /** Name of its reader. */
  readonly name: string;
  readonly kind: PruneGroup['kind'];
  readonly count: number;
  /** Operations that a unit takes. */
  readonly operations: number;
}

/** What is left of one group. */
export interface PrunedGroup {
  readonly name: string;
  readonly kind: PruneGroup['kind'];
  readonly count: number;
  readonly kept: number;
}

/** Options of `planPruning`. */
export interface PlanOptions {
  readonly keeps: (node: Node) => boolean;
  readonly runs: TextRuns;
  /** Sizes of the symbols for which operations are counted. */
  readonly bindings: Bindings;
  readonly runtime: 'onnx' | 'tflite';
  /** Hears of work in a measure of its own. */
  readonly progress: (done: number, total: number) => void;
}

/**
 * Orders the units of all groups by what they are worth. A group's reader y = W h is fitted anew in thought behind each
 * removal; what remains of its error counts by the gradients of the answers: Σ_t |g_t|² Σ_c E[g_c²] e_tc², where g are the
 * gradients by y, so that the errors of all groups are of one measure.
 */
export async function planPruning(original: Graph, options: PlanOptions): Promise<PrunePlan> {
  const { keeps, runs, bindings, runtime, progress } = options;
  const graph = copyGraph(original);
  partHalves(graph);
  const { groups, declined } = pruneGroups(graph, keeps);
  // Time grows with the cube of what is inverted: a layer's neurons take most of it.
  const work = groups.map(({ reader }) => inputsOf(reader.weight.tensor) ** 3);
  const total = work.reduce((sum, part) => sum + part, 0);
  let done = 0;
  progress(0, total);
  const { gradients, problem } = await gradientsOf(graph, groups, runs);
  const prefix = new Prefix(graph, runs);
  const planned: PlannedGroup[] = [];
  for (const [i, group] of groups.entries()) {
    const { reader, kind, count, writers, between } = group;
    const { name } = reader.node;
    const gradient = gradients?.get(name);
    if (gradient || problem !== undefined) {
      const values = await prefix.compute(gradient ? [reader.x] : [reader.x, reader.node]);
      const matrixOf = (node: Node) => runs.matrixOf(values.get(node) as BatchValues);
      const weights = gradient ? squaresOf(gradient) : sharesOf(matrixOf(reader.node));
      const order = await orderOf(group, matrixOf(reader.x), weights, {
        runs,
        progress: (step, steps) => progress(done + ((work[i] as number) * step) / steps, total),
      });
      const nodes = [...writers.map(({ node }) => node), ...between, reader.node];
      const operations = nodes.reduce((sum, node) => {
        const { multiplyAdds, others } = operationsOf(node, bindings, runtime);
        return sum + (multiplyAdds + others) / count;
      }, 0);
      planned.push({ name, kind, count, operations, ...order });
    }
    done += work[i] as number;
    progress(done, total);
  }
  const { multiplyAdds, others } = countOperations(graph, bindings, runtime);
  return {
    groups: planned,
    declined: problem === undefined ? declined : [...declined, problem],
    operations: multiplyAdds + others,
  };
}

/** The gradients of the answers by what the groups' readers write, or why there are none. */
async function gradientsOf(graph: Graph, groups: readonly PruneGroup[], runs: TextRuns) {
  const names = new Set(groups.map(({ reader }) => reader.node.name));
  try {
    return { gradients: await outputGradients(graph, names, runs), problem: undefined };
  } catch (cause) {
    if (!isUnsupported(cause)) throw cause;
    return {
      gradients: undefined,
      problem: `${cause.message}: errors of all layers count alike, in proportion to their values`,
    };
  }
}

async function orderOf(
  { reader, kind, count }: PruneGroup,
  inputs: TextMatrix,
  { importance, tokens }: ErrorWeights,
  { runs, progress }: Pick<PlanOptions, 'runs' | 'progress'>,
): Promise<RemovalOrder> {
  const weighted = weightedRows(inputs, tokens);
  const problem = {
    weight: readF32(reader.weight.tensor),
    importance,
    gram: await runs.product(weighted, weighted),
    inputs: inputs.columns,
    unit: inputs.columns / count,
    step: stepOf({ kind, count }),
    ridge: RIDGE,
  };
  return removalOrder(problem, progress);
}

function inputsOf({ shape }: Tensor): number {
  return shape[1] as number;
}

/** How much squared errors of a reader's result count, by its channels and by tokens. */
interface ErrorWeights {
  readonly importance: Float64Array;
  readonly tokens: Float64Array;
}

/** Weights by which the errors are shares of what the reader writes. */
function sharesOf({ values, rows, columns }: TextMatrix): ErrorWeights {
  let power = 0;
  for (let i = 0; i < values.length; i++) power += (values[i] as number) ** 2;
  return {
    importance: new Float64Array(columns).fill(power > 0 ? 1 / power : 1),
    tokens: new Float64Array(rows).fill(1),
  };
}

/** The mean square of each channel's gradient, and each token's share of all squares times the number of tokens. */
function squaresOf({ values, rows, columns }: TextMatrix): ErrorWeights {
  const importance = new Float64Array(columns);
  const tokens = new Float64Array(rows);
  let all = 0;
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = 0;
    for (let c = 0; c < columns; c++, at++) {
      const square = (values[at] as number) ** 2;
      importance[c] = (importance[c] as number) + square / rows;
      sum += square;
    }
    tokens[row] = sum;
    all += sum;
  }
  for (let row = 0; row < rows; row++) tokens[row] = all > 0 ? ((tokens[row] as number) * rows) / all : 1;
  return { importance, tokens };
}

/** Subtracts the weighted mean of rows and multiplies each by the root of its weight. */
function weightedRows({ values, rows, columns }: TextMatrix, weights: Float64Array) {
  const mean = new Float64Array(columns);
  let total = 0;
  for (let row = 0, at = 0; row < rows; row++) {
    const weight = weights[row] as number;
    total += weight;
    for (let c = 0; c < columns; c++, at++) mean[c] = (mean[c] as number) + weight * (values[at] as number);
  }
  for (let c = 0; c < columns; c++) mean[c] = (mean[c] as number) / total;
  const result = new Float32Array(rows * columns);
  for (let row = 0, at = 0; row < rows; row++) {
    const root = Math.sqrt(weights[row] as number);
    for (let c = 0; c < columns; c++, at++) result[at] = root * ((values[at] as number) - (mean[c] as number));
  }
  return { values: result, rows, columns };
}

/** A pruned graph's groups, and what fitting it has to know. */
export interface Pruned {
  readonly cuts: Cuts;
  readonly groups: readonly PrunedGroup[];
}

/** Takes units out of a graph that has the planned one's nodes until it has no more than a share of its operations. */
export function pruneTo(graph: Graph, plan: PrunePlan, share: number): Pruned {
  const steps = chooseSteps(
    plan.groups.map((group) => ({ errors: group.errors, saving: stepOf(group) * group.operations })),
    (1 - share) * plan.operations,
  );
  const removed = new Map(plan.groups.map((group, i) => [group.name, (steps[i] as number) * stepOf(group)]));
  return removeUnits(graph, plan, removed);
}

/** Takes units out of a graph that has the planned one's nodes: as many of each group as `removed` says by its name. */
export function removeUnits(graph: Graph, plan: PrunePlan, removed: ReadonlyMap<string, number>): Pruned {
  const kept = new Map<string, Int32Array>();
  const readers = new Set<string>();
  const groups: PrunedGroup[] = [];
  partHalves(graph);
  const found = new Map(pruneGroups(graph, () => false).groups.map((group) => [group.reader.node.name, group]));
  for (const { name, kind, count, units } of plan.groups) {
    const gone = new Set(units.subarray(0, removed.get(name) ?? 0));
    groups.push({ name, kind, count, kept: count - gone.size });
    if (gone.size === 0) continue;
    const left = Array.from({ length: count }, (_, unit) => unit).filter((unit) => !gone.has(unit));
    for (const [writer, channels] of cutGroup(graph, found.get(name) as PruneGroup, left)) kept.set(writer, channels);
    readers.add(name);
  }
  graph.prune();
  return { cuts: { kept, readers }, groups };
}

/** The number of units that go at once. */
export function stepOf({ kind, count }: Pick<PlannedGroup, 'kind' | 'count'>): number {
  return kind === 'heads' || count <= NEURONS ? 1 : NEURONS;
}
