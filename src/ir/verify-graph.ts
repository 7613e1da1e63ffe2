import { MbertError } from '../errors.ts';
import type { Call, Graph, Node } from './graph.ts';
import { type Attrs, nameInputs } from './op.ts';
import { opDef } from './ops/index.ts';
import { realType } from './quantized.ts';
import { sameShape, shapeText } from './shape.ts';
import type { TensorType } from './tensor.ts';

/** Checks one invariant at a node: the problem, or null where it holds. */
type Rule = (node: Node, graph: Graph, seen: Map<string, Node>) => string | null;

const rules: readonly Rule[] = [
  (node, _, seen) => {
    if (seen.has(node.name)) return 'another node has this name';
    seen.set(node.name, node);
    return null;
  },
  (node) => {
    const deaf = node.inputs.find((input) => !input.users.has(node));
    return deaf ? `its input ${deaf.name} does not know it` : null;
  },
  (node, graph) => (node.op === 'input' && !graph.inputs.includes(node) ? 'is an input of another graph' : null),
  (node) => {
    if (node.op !== 'constant') return null;
    const { dtype, shape } = node.tensor;
    const fits = dtype === node.type.dtype && sameShape(shape, node.type.shape);
    return fits
      ? null
      : `holds ${dtype}${shapeText(shape)}, its type is ${node.type.dtype}${shapeText(node.type.shape)}`;
  },
  (node) => {
    if (node.op === 'input' || node.op === 'constant') return null;
    const type = inferredType(node);
    if (typeof type === 'string') return type;
    const fits =
      sameShape(type.shape, node.type.shape) && (node.type.quant !== undefined || type.dtype === node.type.dtype);
    return fits
      ? null
      : `is ${node.type.dtype}${shapeText(node.type.shape)}, its inputs make ${type.dtype}${shapeText(type.shape)}`;
  },
];

/** Infers the type of a node from its inputs, or gives the reason why there is none. */
function inferredType(node: Call): TensorType | string {
  const def = opDef(node.op);
  const inputs = node.inputs.map((input) => realType(input.type));
  try {
    return def.infer(nameInputs(def, inputs, node.name), node.attrs as Attrs);
  } catch (cause) {
    if (cause instanceof MbertError) return cause.message;
    throw cause;
  }
}

/**
 * Throws INVALID_GRAPH for a graph that breaks an invariant: names are unique, inputs know their users and belong to
 * the graph, and types are what the ops infer. `after` names the pass that a failure is blamed on.
 */
export function verifyGraph(graph: Graph, after: string): void {
  const seen = new Map<string, Node>();
  for (const node of graph.nodes()) {
    for (const rule of rules) {
      const problem = rule(node, graph, seen);
      if (problem !== null) throw new MbertError('INVALID_GRAPH', `${after}: ${node.name}: ${problem}`);
    }
  }
}
