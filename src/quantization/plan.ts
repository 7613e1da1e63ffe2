import type { Call, Graph, Node } from '../ir/graph.ts';
import { type OpName, opDef } from '../ir/ops/index.ts';
import type { Quant } from '../ir/tensor.ts';
import type { ActivationDType } from './qparams.ts';
import type { RangeMethod, SettingsMap } from './settings.ts';

/** Values that share a scale and zero point because an op only moves numbers from one to the other. */
export interface ValueClass {
  readonly dtype: ActivationDType;
  /** The nodes whose observed values the range must hold. */
  readonly members: Node[];
  /** Zero point 0. */
  symmetric: boolean;
  readonly method: RangeMethod;
  /** What is added to attention scores, or the sum: the members are the scores. A mask is held a margin below them. */
  readonly attention?: 'mask' | 'masked';
  /** A mask that is also a bias for each pair of tokens: its greatest value counts, too. */
  readonly bias?: Node;
  /** Where the form of an op leaves no choice, as for probabilities. */
  readonly fixed?: Quant & { readonly per: 'tensor' };
}

/** What becomes integers in a float graph. Decided from the graph alone; ranges come later. */
export interface Plan {
  readonly graph: Graph;
  readonly settings: SettingsMap;
  /** Nodes that compute on integers: they read stored values and integer copies. */
  readonly integer: ReadonlySet<Node>;
  /** Nodes whose result is stored as integers. */
  readonly stored: ReadonlyMap<Node, ValueClass>;
  /** Float values that also get an integer copy, for the integer nodes that read them. */
  readonly copies: ReadonlyMap<Node, ValueClass>;
  /** Stored values that are so for one reader's sake, with it: they turn float when it does. */
  readonly storedFor: ReadonlyMap<Node, Node>;
}

export function isCall(node: Node): node is Call {
  return node.op !== 'input' && node.op !== 'constant';
}

/** Moves that stay float: look-ups, which make floats of integer rows, and what only stands before the first product. */
const FLOAT_MOVES: ReadonlySet<OpName> = new Set(['gather', 'shift', 'pad', 'expand']);

/** True for a node that hands on the integers of what it reads: its result has the same scale. */
export function isMover(node: Node): boolean {
  return isCall(node) && opDef(node.op).moves !== undefined && !FLOAT_MOVES.has(node.op);
}

/** Every class of a plan once. */
export function classesOf({ stored, copies }: Plan): readonly ValueClass[] {
  return [...new Set([...stored.values(), ...copies.values()])];
}

/** The nodes whose ranges a plan needs, each once, in graph order. */
export function observedNodes(plan: Plan): readonly Node[] {
  const wanted = new Set<Node>();
  for (const { members, fixed, bias } of classesOf(plan)) {
    if (!fixed) for (const node of members) wanted.add(node);
    if (bias) wanted.add(bias);
  }
  return plan.graph.nodes().filter((node) => wanted.has(node) && node.op !== 'constant');
}
