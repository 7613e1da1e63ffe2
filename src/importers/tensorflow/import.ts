import { MbertError } from '../../errors.ts';
import type { TfGraph, TfNode, TfPort } from '../../formats/graphdef.ts';
import { tfDtypeOf } from '../../formats/tf-types.ts';
import { Graph, type Node } from '../../ir/graph.ts';
import type { Dim, Shape } from '../../ir/shape.ts';
import type { DType, Tensor } from '../../ir/tensor.ts';
import { axisSymbol } from '../dims.ts';
import { TfBuilder, type Value } from './builder.ts';
import { dataInputs, type FlatNode, type FlatValue, Inliner } from './inline.ts';
import { lowerNode } from './lower.ts';

/** A graph with its inputs and outputs, and with the values that lie outside it. */
interface TfModel {
  readonly file: string;
  readonly graph: TfGraph;
  /** Inputs; left undefined, they are the placeholders, in the order of the file. */
  readonly inputs: readonly TfPort[] | undefined;
  /** Outputs; left undefined, they are the values that nothing reads. */
  readonly outputs: readonly TfPort[] | undefined;
  /** Finds the value of a constant or variable by its node. Throws where there is none. */
  tensor(node: TfConstant): Tensor | undefined;
}

/** A node that holds data. */
export type TfConstant = Pick<TfNode, 'name' | 'op' | 'attributes'>;

const INPUTS: ReadonlySet<string> = new Set(['Placeholder', 'PlaceholderV2', 'PlaceholderWithDefault']);
const CONSTANTS: ReadonlySet<string> = new Set(['Const', 'HostConst', 'VarHandleOp', 'Variable', 'VariableV2']);

/**
 * Reads the graph between a TensorFlow model's inputs and outputs, as it is there but for shape arithmetic, which is
 * worked out. Open sizes become the symbols batch and sequence by their axis: the inputs of a BERT agree in them.
 */
export function importTfGraph(model: TfModel): Graph {
  const graph = new Graph();
  const inliner = new Inliner(model.graph, model.file);
  const out = new TfBuilder(graph);
  const given = declareInputs(model, inliner, graph);
  const outputs = model.outputs ?? openEnds(model);
  const roots = outputs.map(({ value }) => inliner.flatten(inliner.main, value));
  if (roots.length === 0) throw new MbertError('MALFORMED', `${model.file}: has no outputs`);
  const counts = countOutputs(inliner.order, roots);
  for (const node of inliner.order)
    out.define(node, valuesOf(node, { model, out, given, outputCount: counts.get(node) ?? 1 }));
  outputs.forEach(({ name }, i) => {
    const root = roots[i] as FlatValue;
    const node = out.nodeOf(out.value(root), root.node.name);
    if (node === null) throw new MbertError('UNSUPPORTED', `${model.file}: output ${name}: is a shape of the run`);
    graph.output(name, node);
  });
  graph.prune();
  return graph;
}

interface Context {
  readonly model: TfModel;
  readonly out: TfBuilder;
  /** Inputs by the name of their placeholder. */
  readonly given: Map<string, Node>;
  /** Number of the node's outputs that anything reads. */
  readonly outputCount: number;
}

function declareInputs(model: TfModel, inliner: Inliner, graph: Graph): Map<string, Node> {
  const given = new Map<string, Node>();
  const ports = model.inputs ?? placeholders(model.graph);
  for (const port of ports) {
    const { node } = inliner.resolve(inliner.main, port.value);
    if (!INPUTS.has(node.op)) {
      throw new MbertError('UNSUPPORTED', `${model.file}: input ${port.name}: is a ${node.op}, not a placeholder`);
    }
    // Training leaves counters among the inputs that no output reads; where one does, that is said then.
    const isUsable = tfDtypeOf(port.type ?? node.attributes.type('dtype')) !== undefined;
    if (isUsable) given.set(node.name, graph.input(port.name, inputType(model.file, node, port)));
  }
  return given;
}

function placeholders({ nodes }: TfGraph): TfPort[] {
  return nodes
    .filter((node) => INPUTS.has(node.op) && tfDtypeOf(node.attributes.type('dtype')) !== undefined)
    .map(({ name }) => ({ name, value: name }));
}

function inputType(file: string, node: TfConstant, port: TfPort): { dtype: DType; shape: Shape } {
  const dtype = tfDtypeOf(port.type ?? node.attributes.type('dtype'));
  if (dtype === undefined) {
    throw new MbertError('UNSUPPORTED', `${file}: input ${port.name}: takes no numbers`, {
      hint: 'export the model without its text preprocessing',
    });
  }
  const shape = port.shape ?? node.attributes.shape('shape');
  if (shape === undefined) throw new MbertError('UNSUPPORTED', `${file}: input ${port.name}: its rank is not known`);
  return { dtype, shape: shape.map((dim, axis): Dim => (dim === -1 ? axisSymbol(axis) : dim)) };
}

/** Ops whose value no model would give as its output. */
const NO_RESULTS: ReadonlySet<string> = new Set([
  ...INPUTS,
  ...CONSTANTS,
  'Assert',
  'Assign',
  'AssignVariableOp',
  'NoOp',
  'RestoreV2',
  'SaveV2',
]);

function openEnds({ graph }: TfModel): TfPort[] {
  const read = new Set(graph.nodes.flatMap((node) => dataInputs(node).map((input) => input.replace(/:\d+$/, ''))));
  return graph.nodes
    .filter(({ name, op }) => !read.has(name) && !NO_RESULTS.has(op))
    .map(({ name }) => ({ name, value: name }));
}

function countOutputs(order: readonly FlatNode[], roots: readonly FlatValue[]): Map<FlatNode, number> {
  const counts = new Map<FlatNode, number>();
  for (const { node, output } of [...order.flatMap(({ inputs }) => inputs), ...roots]) {
    counts.set(node, Math.max(counts.get(node) ?? 0, output + 1));
  }
  return counts;
}

function valuesOf(node: FlatNode, context: Context): readonly Value[] {
  const { out, given, model } = context;
  if (INPUTS.has(node.op)) return [{ kind: 'node', node: given.get(node.name) ?? lateInput(node, context) }];
  if (CONSTANTS.has(node.op)) {
    const tensor = model.tensor(node);
    if (tensor !== undefined) return [out.constantValue(tensor, node.name)];
  }
  return lowerNode(node, out, context.outputCount);
}

/** Declares a placeholder that the signature does not list, e.g. a dropout rate: it must be given like any other. */
function lateInput(node: FlatNode, { model, out, given }: Context): Node {
  const input = out.graph.input(node.name, inputType(model.file, node, { name: node.name, value: node.name }));
  given.set(node.name, input);
  return input;
}
