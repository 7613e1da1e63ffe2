import type { Call, Constant, Graph, Input, Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import { opDef } from '../ir/ops/index.ts';

/** What the two graphs' nodes are matched by: constants are not nodes here but what fills a slot of a call. */
export type Value = Input | Call;

/** In the place of a node's index where a call reads a constant. */
export const CONSTANT = -1;

/** A graph with its values numbered. */
export interface Side {
  readonly graph: Graph;
  /** Unused inputs, then the live values, inputs before users. */
  readonly values: readonly Value[];
  readonly index: ReadonlyMap<Node, number>;
  /** By value: what it reads, as indices. */
  readonly inputs: readonly (readonly number[])[];
  /** By value: reader and input position in turn, once for each position. */
  readonly users: readonly (readonly number[])[];
  /** By value: whether the order of its inputs means nothing. */
  readonly unordered: readonly boolean[];
  /** By value: how many outputs of the graph it is. */
  readonly outputs: readonly number[];
}

export function numberValues(graph: Graph): Side {
  const live = graph.nodes();
  const isLive = new Set(live);
  const values = [...graph.inputs.filter((input) => !isLive.has(input)), ...live].filter(isValue);
  const index = new Map<Node, number>(values.map((value, i) => [value, i]));
  const inputs = values.map((value) => value.inputs.map((input) => index.get(input) ?? CONSTANT));
  const users = values.map((): number[] => []);
  for (const [user, read] of inputs.entries()) {
    for (const [position, value] of read.entries()) users[value]?.push(user, position);
  }
  const outputs = values.map(() => 0);
  for (const { node } of graph.outputs) {
    const value = index.get(node);
    if (value !== undefined) outputs[value] = (outputs[value] as number) + 1;
  }
  return { graph, values, index, inputs, users, outputs, unordered: values.map(isUnordered) };
}

function isValue(node: Node): node is Value {
  return node.op !== 'constant';
}

function isUnordered(value: Value): boolean {
  return value.op !== 'input' && opDef(value.op).commutative === true;
}

/** The op's name; a foreign op's is the one that it has in its format. */
export function opName(value: Value): string {
  return value.op === 'foreign' ? `foreign ${attrsOf(value)['op']}` : value.op;
}

export function attrsOf(value: Value): Attrs {
  return value.op === 'input' ? {} : (value.attrs as Attrs);
}

/** The constants that a value reads. */
export function constantsOf(value: Value): Constant[] {
  return value.inputs.filter((input): input is Constant => input.op === 'constant');
}
