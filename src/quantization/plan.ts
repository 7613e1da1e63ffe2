import type { Call, Graph, Node } from '../ir/graph.ts';
import { type OpName, opDef } from '../ir/ops/index.ts';
import type { Quant } from '../ir/tensor.ts';
import type { ActivationDType } from './qparams.ts';
import type { RangeMethod, SettingsMap } from './settings.ts';
import type { WeightBlocks } from './weights.ts';

/** Values that share a scale and zero point because an op only moves numbers from one to the other. */
export interface ValueClass {
  readonly dtype: ActivationDType;
  /** The nodes whose observed values the range must hold. */
  readonly members: Node[];
  /** Whether the zero point is 0. */
  symmetric: boolean;
  readonly method: RangeMethod;
  /**
   * The role of a mask that is added to attention scores, or of their sum: the members are the scores. A mask is held a
   * margin below them.
   */
  readonly attention?: 'mask' | 'masked';
  /** The mask where it is also a bias for each pair of tokens: its greatest value counts, too. */
  readonly bias?: Node;
  /** The scale and zero point where an op leaves no choice, as for probabilities. */
  readonly fixed?: Quant & { readonly per: 'tensor' };
}

/** A plan of what becomes integers in a float graph. Decided from the graph alone; ranges come later. */
export interface Plan {
  readonly graph: Graph;
  readonly settings: SettingsMap;
  /** The blocks of weights whose granularity is `block`. Default: what every runtime has. */
  readonly blocks?: WeightBlocks | undefined;
  /** Nodes that compute on integers: they read stored values and integer copies. */
  readonly integer: ReadonlySet<Node>;
  /** Nodes whose result is stored as integers. */
  readonly stored: ReadonlyMap<Node, ValueClass>;
  /** Float values that also get an integer copy, for the integer nodes that read them. */
  readonly copies: ReadonlyMap<Node, ValueClass>;
  /** Values that are stored for the sake of one reader, with that reader: they turn float when it does. */
  readonly storedFor: ReadonlyMap<Node, Node>;
}

export function isCall(node: Node): node is Call {
  return node.op !== 'input' && node.op !== 'constant';
}

/** Moves that stay float: look-ups, which make floats of integer rows, and ops found only before the first product. */
const FLOAT_MOVES: ReadonlySet<OpName> = new Set(['gather', 'shift', 'pad', 'expand']);

/** Whether a node hands on the integers of what it reads, so that its result has the same scale. */
export function isMover(node: Node): boolean {
  return isCall(node) && opDef(node.op).moves !== undefined && !FLOAT_MOVES.has(node.op);
}

/** Lists every class of a plan once. */
export function classesOf({ stored, copies }: Plan): readonly ValueClass[] {
  return [...new Set([...stored.values(), ...copies.values()])];
}

/** Lists the nodes whose ranges a plan needs, each once, in graph order. */
export function observedNodes(plan: Plan): readonly Node[] {
  const observed = new Set<Node>();
  for (const { members, fixed, bias } of classesOf(plan)) {
    if (!fixed) for (const node of members) observed.add(node);
    if (bias) observed.add(bias);
  }
  return plan.graph.nodes().filter((node) => observed.has(node) && node.op !== 'constant');
}
