import { MbertError } from '../../errors.ts';
import { addGradients } from '../../gradient/gradients.ts';
import { copyGraph, copyNode } from '../../ir/copy-graph.ts';
import { type Constant, Graph, type Input, type Node } from '../../ir/graph.ts';
import { runPasses } from '../../ir/pass.ts';
import { type Dim, sameShape } from '../../ir/shape.ts';
import type { Tensor } from '../../ir/tensor.ts';
import { isParameter } from '../../ir/token-wise.ts';
import type { Task } from '../../models/index.ts';
import { flattenTokens } from '../../passes/flatten-tokens.ts';
import { type EncoderLayer, encoderLayers } from '../evaluate/encoder-layers.ts';
import { outputKinds } from '../evaluate/logits-kl.ts';
import { Distances, type Pair } from './distances.ts';
import { valuesPerToken } from './gradient-memory.ts';

/** One step of distillation: the gradients of the student's parameters, for a batch of texts. */
export interface DistillGraph {
  readonly graph: Graph;
  /** The fitted graph's constants that are trained. */
  readonly parameters: readonly TrainedParameter[];
  /** Scalar inputs that take the size of an axis, by its symbol. */
  readonly sizes: ReadonlyMap<string, Input>;
  /** Number of values that all nodes have for one token. */
  readonly valuesPerToken: number;
  /** The symbol of the number of sequences; any other symbol is their length. */
  readonly batch: Dim | undefined;
}

/** A constant of the fitted graph that is trained. */
export interface TrainedParameter {
  readonly constant: Constant;
  /** Input that takes the parameter's present values. */
  readonly input: Input;
  readonly gradient: Node;
}

/**
 * Builds a graph of teacher and student side by side on the same tokens, and the gradients of their distance by the
 * student's weights, biases and norms: the losses of MobileBERT's knowledge transfer (Sun et al. 2020, section 3.3),
 * which are each layer's output and attention, all layers at once, and the answers. Both graphs have the same inputs;
 * layers are paired by name. Throws UNSUPPORTED for an op that has no gradient.
 */
export async function distillGraph(original: Graph, fitted: Graph, task: Task | undefined): Promise<DistillGraph> {
  const graph = new Graph('distill');
  const tokens = original.inputs.map(({ name, type }) => graph.input(name, type));
  const [teacher, student] = [copyGraph(original), copyGraph(fitted)];
  for (const network of [teacher, student]) await runPasses(network, [flattenTokens]);
  const inputs = new Map(
    trainedIn(student).map((constant) => [
      constant,
      graph.input(`${constant.name}.now`, { dtype: 'f32', shape: constant.tensor.shape }),
    ]),
  );
  const shared = new Map<Tensor, Node>();
  const distances = new Distances(graph, tokens);
  addDistances(distances, layersOf(original), task, {
    teacher: { source: teacher, copies: copyInto(graph, teacher, tokens, inputs, shared) },
    student: { source: student, copies: copyInto(graph, student, tokens, inputs, shared) },
  });
  const gradients = addGradients(graph, distances.seeds, [...inputs.values()], distances.count);
  const constants = byName(fitted);
  const parameters = [...inputs].map(([{ name }, input]) => ({
    constant: constants.get(name) as Constant,
    input,
    gradient: gradients.get(input) as Node,
  }));
  return {
    graph,
    parameters,
    sizes: distances.sizes,
    valuesPerToken: valuesPerToken(
      graph.withOutputs(parameters.map(({ gradient }) => ({ name: gradient.name, node: gradient }))),
    ),
    batch: tokens[0]?.type.shape[0],
  };
}

/** Teacher or student, with the copies of its nodes in the common graph. */
interface Side {
  readonly source: Graph;
  readonly copies: ReadonlyMap<Node, Node>;
}

function addDistances(
  distances: Distances,
  layers: readonly EncoderLayer[],
  task: Task | undefined,
  { teacher, student }: { readonly teacher: Side; readonly student: Side },
): void {
  const pairOf = (a: Node, b: Node): Pair => ({
    teacher: teacher.copies.get(a) as Node,
    student: student.copies.get(b) as Node,
  });
  const [inTeacher, inStudent] = [byName(teacher.source), byName(student.source)];
  const isShared = ({ name, type }: Node) => {
    const twin = inStudent.get(name);
    return twin !== undefined && sameShape(twin.type.shape, type.shape);
  };
  const named = ({ name }: Node): Pair => {
    const [a, b] = [inTeacher.get(name), inStudent.get(name)];
    if (a && b && sameShape(a.type.shape, b.type.shape)) return pairOf(a, b);
    throw new MbertError('INVALID_GRAPH', `${name}: is not in both, the original and what was fitted to it`);
  };
  for (const { attention, output } of layers) {
    // Pruned attention has other heads than the teacher's.
    if (isShared(attention)) distances.addAttention(named(attention), 1 / layers.length);
    distances.addFeatures(named(output), 1 / layers.length);
  }
  const answers = outputKinds(teacher.source, student.source, task);
  for (const { teacher: a, student: b, kind } of answers) distances.addAnswers(pairOf(a, b), kind);
  for (const [i, { node }] of teacher.source.outputs.entries()) {
    if (answers.some((answer) => answer.teacher === node)) continue;
    distances.addFeatures(pairOf(node, student.source.outputs[i]?.node as Node), 1);
  }
}

/** Weights and biases of linears and the parameters of norms, where nothing else reads them. */
function trainedIn(graph: Graph): Constant[] {
  const isTrained = (node: Node, reader: Node) =>
    reader.op !== 'input' && reader.op !== 'constant' && isParameter(reader, reader.inputs.indexOf(node));
  return graph
    .nodes()
    .filter((node) => node.op === 'constant')
    .filter((node) => !node.type.quant && [...node.users].every((reader) => isTrained(node, reader)));
}

function byName(graph: Graph): ReadonlyMap<string, Node> {
  return new Map(graph.nodes().map((node) => [node.name, node]));
}

/** Copies all nodes of a graph over other inputs and parameters. Constants of one tensor become one node. */
function copyInto(
  graph: Graph,
  source: Graph,
  tokens: readonly Input[],
  parameters: ReadonlyMap<Node, Input>,
  shared: Map<Tensor, Node>,
): ReadonlyMap<Node, Node> {
  const copies = new Map<Node, Node>(source.inputs.map((input, i) => [input, tokens[i] as Node]));
  for (const node of source.nodes()) {
    if (copies.has(node)) continue;
    const existing = parameters.get(node) ?? (node.op === 'constant' && !node.type.quant && shared.get(node.tensor));
    const copy = existing || copyNode(graph, node, copies, {});
    if (copy.op === 'constant') shared.set(copy.tensor, copy);
    copies.set(node, copy);
  }
  return copies;
}

/** The encoder layers of the original; none where they cannot be told apart, so that only the answers count. */
function layersOf(original: Graph): readonly EncoderLayer[] {
  try {
    return encoderLayers(original, original.name);
  } catch (cause) {
    if (!(cause instanceof MbertError) || cause.code !== 'UNSUPPORTED') throw cause;
    return [];
  }
}
