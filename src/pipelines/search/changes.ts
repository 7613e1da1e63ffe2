import type { Call, Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { sameShape } from '../../ir/shape.ts';
import { tensorOf } from '../../ir/tensor.ts';
import type { Cuts } from '../../passes/fit/fit.ts';
import { removeUnits, stepOf } from '../../passes/prune/prune-plan.ts';
import { splitEmbeddings, splittableTable } from '../../passes/split-embedding.ts';
import { dependentsOf } from '../evaluate/layer-inputs.ts';
import type { Block } from './blocks.ts';
import type { Space } from './space.ts';

/** One way to make a block smaller. */
export type Change =
  /** The block gives what it reads. */
  | { readonly kind: 'drop' }
  /** One linear takes the block's place. */
  | { readonly kind: 'linear' }
  /** A group of heads or neurons, named by the linear that reads it, has fewer; with none it is left out with that linear. */
  | { readonly kind: 'units'; readonly group: string; readonly kept: number }
  /** NoNorm and ReLU take the places of the layer's LayerNorms and GELUs. */
  | { readonly kind: 'noNorm' }
  /** The word table has fewer columns, which a linear makes as many as before. */
  | { readonly kind: 'rank'; readonly rank: number };

/** Place of the word table, before the first layer. */
export const WORDS = -1;

/** A change of a block: what is scored by itself. */
export interface Candidate {
  /** The layer's place, or `WORDS`. */
  readonly layer: number;
  readonly change: Change;
}

/** Numbers of units that are tried for each group, none among them. */
const LEVELS = 8;
/** Most changes of one layer that are tried: where it has many groups, each is tried with fewer numbers. */
const MAX_CHANGES = 24;

/** Widths of the word table that are tried, as shares of its columns. */
const RANKS = [3 / 4, 1 / 2, 1 / 4] as const;

/** Lists the changes that are tried, layer by layer, what is left of a group in descending order. */
export function listCandidates(
  graph: Graph,
  blocks: readonly Block[],
  keeps: (node: { readonly name: string }) => boolean = () => false,
): Candidate[] {
  const nodes = nodesByName(graph);
  const layers = blocks.flatMap(({ layer, input, groups, nodes: inside }) => {
    const isFree = ![...inside].some((name) => keeps({ name }));
    const whole: Change[] = input === undefined || !isFree ? [] : [{ kind: 'drop' }, { kind: 'linear' }];
    const levels = Math.max(2, Math.min(LEVELS, Math.floor(MAX_CHANGES / Math.max(1, groups.length))));
    const parts = groups.flatMap((group): Change[] => {
      const steps = group.units.length / stepOf(group);
      const removed = Array.from({ length: levels }, (_, i) => Math.round(((i + 1) * steps) / levels) * stepOf(group));
      const kept = new Set(removed.filter((count) => count > 0).map((count) => group.count - count));
      if (branchOf(nodes.get(group.name)) !== undefined) kept.add(0);
      return [...kept].map((count) => ({ kind: 'units', group: group.name, kept: count }));
    });
    const converted: Change[] =
      isFree && [...inside].some((name) => isConverted(nodes.get(name))) ? [{ kind: 'noNorm' }] : [];
    return [...whole, ...converted, ...parts].map((change) => ({ layer, change }));
  });
  return [...rankCandidates(graph, keeps), ...layers];
}

function rankCandidates(graph: Graph, keeps: (node: { readonly name: string }) => boolean): Candidate[] {
  const table = splittableTable(graph, keeps);
  if (table === undefined) return [];
  const [words, columns] = table.tensor.shape as readonly [number, number];
  const ranks = RANKS.map((share) => Math.round(share * columns));
  const saves = (rank: number) => rank > 0 && rank * (words + columns) + columns < words * columns;
  return ranks.filter(saves).map((rank) => ({ layer: WORDS, change: { kind: 'rank', rank } }));
}

/** Changes a copy of the teacher, up to what is converted while it is fitted. Returns what a fit has to know. */
export function applyChanges(
  graph: Graph,
  changes: readonly Candidate[],
  { blocks, plan, tokenCounts }: Pick<Space, 'blocks' | 'plan' | 'tokenCounts'>,
): Cuts {
  const counts = new Map(plan.groups.map(({ name, count }) => [name, count]));
  const removed = new Map<string, number>();
  for (const { change } of changes) {
    if (change.kind !== 'units' || change.kept === 0) continue;
    removed.set(change.group, (counts.get(change.group) as number) - change.kept);
  }
  const { cuts } = removeUnits(graph, plan, removed);
  const readers = new Set(cuts.readers);
  // The last layer first: what it reads still has its name then, whatever becomes of the layer before it.
  for (const { layer, change } of changes.toSorted((a, b) => b.layer - a.layer)) {
    const changed = changeIn(graph, { layer, change }, { blocks, tokenCounts });
    if (changed) for (const name of linearsBehind(changed)) readers.add(name);
  }
  graph.prune();
  return { kept: cuts.kept, readers };
}

/** Whether a node is one of those that NoNorm and ReLU replace. */
export function isConverted(node: Node | undefined): node is Call<'layerNorm' | 'gelu'> {
  return node?.op === 'layerNorm' || node?.op === 'gelu';
}

/** Names of the nodes that are converted while a changed graph is fitted. */
export function convertedNodes(changes: readonly Candidate[], blocks: readonly Block[]): ReadonlySet<string> {
  const layers = new Set(changes.filter(({ change }) => change.kind === 'noNorm').map(({ layer }) => layer));
  return new Set(blocks.flatMap(({ layer, nodes }) => (layers.has(layer) ? [...nodes] : [])));
}

/** Makes a change, other than taking units out; returns the value from which on the graph computes something else. */
function changeIn(
  graph: Graph,
  { layer, change }: Candidate,
  { blocks, tokenCounts }: Pick<Space, 'blocks' | 'tokenCounts'>,
): Node | undefined {
  if (change.kind === 'units') return dropGroup(graph, change);
  if (change.kind === 'noNorm') return undefined;
  if (change.kind !== 'rank') return replaceBlock(graph, blocks, layer, change);
  const { splits } = splitEmbeddings(graph, { keeps: () => false, tokenCounts, embeddingRank: change.rank });
  return nodesByName(graph).get(splits[0]?.name as string);
}

/** Leaves a group out with the linear that reads it, so that only what that was added to goes on. */
function dropGroup(graph: Graph, { group, kept }: Change & { readonly kind: 'units' }): Node | undefined {
  if (kept > 0) return undefined;
  const branch = branchOf(nodesByName(graph).get(group));
  if (branch === undefined) return undefined;
  graph.replace(branch.sum, () => branch.rest);
  return branch.rest;
}

function replaceBlock(
  graph: Graph,
  blocks: readonly Block[],
  layer: number,
  { kind }: Change & { readonly kind: 'drop' | 'linear' },
): Node {
  const { input, output } = blocks[layer] as Block;
  const nodes = nodesByName(graph);
  const x = nodes.get(input as string) as Node;
  const old = nodes.get(output) as Node;
  if (kind === 'drop') {
    graph.replace(old, () => x);
    return x;
  }
  const size = x.type.shape.at(-1) as number;
  graph.replace(old, () => {
    const weight = graph.constant(tensorOf('f32', [size, size], identity(size)), `${output}.weight`);
    const bias = graph.constant(tensorOf('f32', [size], new Float32Array(size)), `${output}.bias`);
    return graph.add('linear', [x, weight, bias], {}, output);
  });
  return nodesByName(graph).get(output) as Node;
}

/** The linear's fit starts here: it leaves what it reads as it is. */
function identity(size: number): Float32Array {
  const values = new Float32Array(size * size);
  for (let i = 0; i < size; i++) values[i * size + i] = 1;
  return values;
}

/** The sum of a linear's result with what it is added to; undefined where it goes into none. */
export function branchOf(reader: Node | undefined): { readonly sum: Node; readonly rest: Node } | undefined {
  const [sum] = reader?.users ?? [];
  if (reader === undefined || sum?.op !== 'add' || reader.users.size !== 1) return undefined;
  const rest = sum.inputs.find((input) => input !== reader);
  if (rest === undefined || rest.op === 'constant' || !sameShape(rest.type.shape, sum.type.shape)) return undefined;
  return { sum, rest };
}

/** Names of the linears that a value goes into sooner or later, itself included. */
function linearsBehind(value: Node): string[] {
  return [...dependentsOf(value)].filter(({ op }) => op === 'linear').map(({ name }) => name);
}
