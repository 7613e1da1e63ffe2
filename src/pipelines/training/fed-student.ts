import { copyNode } from '../../ir/copy-graph.ts';
import type { Graph, Input, Node } from '../../ir/graph.ts';
import type { Shape } from '../../ir/shape.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { type FedRows, inputOf } from './student-feeds.ts';
import { tableReads, trainedConstants } from './trained.ts';

/** Inputs of a graph that stand for what is trained of a student. */
export interface FedStudent {
  /** Inputs in place of the student's constants and of its reads of tables. */
  readonly given: ReadonlyMap<Node, Input>;
  /** Inputs that take whole arrays, by the arrays' names; grows by those that `parameterOf` adds. */
  readonly inputs: readonly { readonly name: string; readonly input: Input }[];
  readonly reads: readonly FedRows[];
  /** Adds a trained parameter that the student does not have. */
  readonly parameterOf: (name: string, shape: Shape) => Input;
}

/** Adds the inputs that a student's trained arrays are fed to. */
export function fedStudent(graph: Graph, student: Graph, withTables: boolean): FedStudent {
  const given = new Map<Node, Input>();
  const inputs: { readonly name: string; readonly input: Input }[] = [];
  const parameterOf = (name: string, shape: Shape) => {
    const input = graph.input(inputOf(name), { dtype: 'f32', shape });
    inputs.push({ name, input });
    return input;
  };
  for (const constant of trainedConstants(student))
    given.set(constant, parameterOf(constant.name, constant.type.shape));
  const reads = (withTables ? tableReads(student) : []).map(({ node, table, ids }): FedRows => {
    const input = graph.input(`${node.name}.rows`, node.type);
    given.set(node, input);
    return { name: table, ids, input };
  });
  return { given, inputs, reads, parameterOf };
}

/** What the nodes of a graph are copied over. */
interface CopiedOver {
  readonly tokens: readonly Input[];
  /** What stands for a node instead of a copy. */
  readonly given: ReadonlyMap<Node, Input>;
  /** The node of each constant's tensor that was copied already; grows. */
  readonly shared: Map<Tensor, Node>;
}

/** Copies all nodes of a graph over other inputs. Constants of one tensor become one node. */
export function copyInto(graph: Graph, source: Graph, { tokens, given, shared }: CopiedOver): ReadonlyMap<Node, Node> {
  const copies = new Map<Node, Node>(
    source.inputs.map((input) => [input, tokens.find(({ name }) => name === input.name) as Node]),
  );
  for (const node of source.nodes()) {
    if (copies.has(node)) continue;
    const existing = given.get(node) ?? (node.op === 'constant' && !node.type.quant && shared.get(node.tensor));
    const copy = existing || copyNode(graph, node, copies, {});
    if (copy.op === 'constant') shared.set(copy.tensor, copy);
    copies.set(node, copy);
  }
  return copies;
}
