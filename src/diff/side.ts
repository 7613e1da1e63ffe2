import type { Call, Constant, Graph, Input, Node } from '../ir/graph.ts';
import type { Attrs } from '../ir/op.ts';
import { opDef } from '../ir/ops/index.ts';

/** A node that may have a partner in the other graph. Constants have none: they fill slots of calls. */
export type Value = Input | Call;

/** Index of whatever constant a call reads. */
export const CONSTANT = -1;

/** A graph with its values numbered. */
export interface Side {
  readonly graph: Graph;
  /** Inputs without a reader, then the live values, each behind what it reads. */
  readonly values: readonly Value[];
  readonly index: ReadonlyMap<Node, number>;
  /** Indices of what each value reads. */
  readonly inputs: readonly (readonly number[])[];
  /** Readers of each value: reader and input position in turn, once for each position. */
  readonly users: readonly (readonly number[])[];
  /** True for values whose inputs have no order that means anything. */
  readonly unordered: readonly boolean[];
  /** Number of the graph's outputs that each value is. */
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

/** True where the order of a value's inputs means nothing. */
export function isUnordered(value: Value): boolean {
  return value.op !== 'input' && opDef(value.op).commutative === true;
}

/** The name of a value's op; a foreign op's is the one that it has in its format. */
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
