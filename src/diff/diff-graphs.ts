import type { Graph, Node } from '../ir/graph.ts';
import { readContents } from './contents.ts';
import { correspond } from './correspond.ts';
import type { GraphDifference } from './difference.ts';
import { dimsOf } from './dims.ts';
import { findMoves } from './moves.ts';
import type { Pairing } from './pairing.ts';
import { comparePairs } from './pairs.ts';
import { compareInputs, compareOutputs } from './ports.ts';
import { describeChanges } from './regions.ts';
import { numberValues } from './side.ts';
import { EXACT, type Tolerance } from './tolerance.ts';
import { compareConstants, isSameConstant } from './weights.ts';

interface DiffOptions {
  /** Distance up to which weights count as equal. Default: none. */
  readonly tolerance?: Tolerance;
  /** False ignores another order of the same inputs or outputs, by which formats without names bind. Default true. */
  readonly order?: boolean;
  /** False ignores another float type where it holds the same numbers. Default true. */
  readonly dtype?: boolean;
}

export interface GraphDiff {
  /** Differences in structure, then in quantization, then in weights, the farthest apart first. */
  readonly differences: readonly GraphDifference[];
  /** Number of values with a partner, and of those that have another name there. */
  readonly paired: number;
  readonly renamed: number;
  /** Number of constants in places that both graphs have, and of those that are equal, or close enough. */
  readonly constants: { readonly compared: number; readonly equal: number };
  /** Partner in a of each paired node of b. */
  readonly partners: ReadonlyMap<Node, Node>;
}

/**
 * Compares two graphs and tells each change once: pairs their values by content, structure and names, then compares the
 * pairs. Names of nodes do not matter; those of inputs and outputs do. One tensor of each side is held at a time.
 */
export function diffGraphs(a: Graph, b: Graph, options: DiffOptions = {}): GraphDiff {
  const { tolerance = EXACT, order = true, dtype = true } = options;
  const contents = readContents(a, b);
  const pairing = correspond(numberValues(a), numberValues(b), contents);
  const inputs = compareInputs(pairing, order);
  const outputs = compareOutputs(pairing, order);
  const dims = dimsOf(inputs.dims);
  const outputNodes = outputs.pairs.map(([x, y]) => [x.node, y.node] as const);
  const pairs = comparePairs(pairing, contents, dims, outputNodes);
  const changed = pairs.slots.filter((slot) => !isSameConstant(slot, contents));
  const { moved, others } = findMoves(changed, contents);
  const compared = others.map((slot) => compareConstants(slot, { contents, tolerance, dtype, dims }));
  const differences = [
    ...inputs.changes,
    ...outputs.changes,
    ...describeChanges(pairing, [...outputs.reads, ...pairs.reads], [...inputs.ports, ...outputs.ports]),
    ...pairs.differences,
    ...compared.flat(),
    ...moved,
  ];
  const equal = pairs.slots.length - changed.length + compared.filter(({ length }) => length === 0).length;
  return {
    differences: differences.sort(byRank),
    paired: pairing.count,
    renamed: pairs.renamed,
    constants: { compared: pairs.slots.length, equal },
    partners: partnersOf(pairing),
  };
}

function partnersOf(pairing: Pairing): Map<Node, Node> {
  return new Map(pairing.pairs().map(([a, b]) => [pairing.b.values[b] as Node, pairing.a.values[a] as Node]));
}

const RANKS: readonly GraphDifference['kind'][] = ['structure', 'quant', 'weights'];

/** Orders differences by kind, those of weights by how far these are apart, with what cannot be measured first. */
function byRank(a: GraphDifference, b: GraphDifference): number {
  return RANKS.indexOf(a.kind) - RANKS.indexOf(b.kind) || distance(b) - distance(a);
}

function distance(difference: GraphDifference): number {
  if (difference.kind !== 'weights') return 0;
  const relative = 'error' in difference ? difference.error?.relative : null;
  return relative ?? Number.MAX_VALUE;
}
