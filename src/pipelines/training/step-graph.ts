import { addGradients } from '../../gradient/gradients.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import { Graph, type Input, type Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { type Pass, runPasses } from '../../ir/pass.ts';
import { type Dim, product } from '../../ir/shape.ts';
import type { Tensor } from '../../ir/tensor.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { flattenTokens } from '../../passes/flatten-tokens.ts';
import { hoistTokenSlice } from '../../passes/hoist-token-slice.ts';
import { addAnswers, addLabels, addLayers, answerPairs, type Building, Copies } from './compared.ts';
import { Distances } from './distances.ts';
import { copyInto, type FedStudent, fedStudent } from './fed-student.ts';
import { valuesPerToken } from './gradient-memory.ts';
import type { FedRows } from './student-feeds.ts';
import type { TaughtLayer } from './trained.ts';

/** One step of distillation: the gradients of the student's parameters, for a batch of texts. */
export interface StepGraph {
  readonly graph: Graph;
  /** Inputs that take whole arrays, by the arrays' names, whether they are trained or not. */
  readonly fed: FedStudent['inputs'];
  readonly parameters: readonly StepParameter[];
  /** Reads of tables, whose rows are fed in place of the tables. */
  readonly reads: readonly FedRows[];
  /** Those of them that are trained. */
  readonly tables: readonly StepTable[];
  /** Inputs that take the teacher's answers, by the names of its outputs; empty where the teacher is in the graph. */
  readonly fromTeacher: ReadonlyMap<string, Input>;
  /** Input that takes labels; undefined where none are learnt from. */
  readonly labels: Input | undefined;
  /** Scalar inputs that take the size of an axis, by its symbol. */
  readonly sizes: ReadonlyMap<string, Input>;
  /** Number of values that all nodes have for one token. */
  readonly valuesPerToken: number;
  /** The symbol of the number of sequences; any other symbol is their length. */
  readonly batch: Dim | undefined;
}

/** A weight, bias or norm that a step trains. */
export interface StepParameter {
  readonly name: string;
  /** Input that takes the present values. */
  readonly input: Input;
  readonly gradient: Node;
}

/** A read of a table that a step trains. */
export interface StepTable extends FedRows {
  readonly width: number;
  /** The gradient of the rows that are read. */
  readonly gradient: Node;
}

/** Teacher, student, and what of them is compared in a step. */
export interface StepChoice {
  readonly teacher: Graph;
  readonly student: Graph;
  readonly task: Task | undefined;
  /** The kind of a head's logits, where they are not those of classes of which one is right. */
  readonly logitsKind: LogitsKind | undefined;
  /** Layers that are compared. */
  readonly layers: readonly TaughtLayer[];
  readonly comparesAnswers: boolean;
  /** True where the teacher's answers are fed, so that it can have read other tokens. Layers are not compared then. */
  readonly isTeacherApart: boolean;
  /** True where a classifier's labels are learnt from as well. */
  readonly hasLabels: boolean;
  /** Parameters and tables that are trained, by name. */
  readonly trains: (name: string) => boolean;
  readonly trainsTables: boolean;
}

/**
 * Builds a graph of teacher and student side by side on the same tokens, and the gradients of their distance by the
 * student's weights, biases and norms: the losses of MobileBERT's knowledge transfer (Sun et al. 2020, section 3.3),
 * which are each layer's output and attention, and the answers. Both graphs have the same inputs. Throws UNSUPPORTED for
 * an op that has no gradient.
 */
export async function stepGraph(choice: StepChoice): Promise<StepGraph> {
  const graph = new Graph('distill');
  const { teacher, student, readsFirst } = await networksOf(choice);
  const tokens = [...student.inputs, ...teacher.inputs.filter(({ name }) => !hasInput(student, name))].map(
    ({ name, type }) => graph.input(name, type),
  );
  const { given, inputs, reads, parameterOf } = fedStudent(graph, student, choice.trainsTables);
  const shared = new Map<Tensor, Node>();
  const copied = (source: Graph) => copyInto(graph, source, { tokens, given, shared });
  const own = new Copies(student, copied(student));
  const building: Building = { graph, distances: new Distances(graph, tokens), parameterOf };
  const { distances } = building;
  if (!choice.isTeacherApart) {
    const other = new Copies(teacher, copied(teacher));
    if (readsFirst) distances.weighFirst();
    addLayers(building, choice.layers, { teacher: other, student: own });
    if (choice.comparesAnswers)
      addAnswers(building, answerPairs(teacher, student, choice), own, (node) => other.of(node));
  }
  const fromTeacher = new Map<string, Input>();
  if (choice.isTeacherApart) {
    addAnswers(building, answerPairs(teacher, student, choice), own, ({ type }, name) => {
      const input = graph.input(`teacher.${name}`, type);
      fromTeacher.set(name, input);
      return input;
    });
  }
  const labels = choice.hasLabels ? addLabels(building, own) : undefined;

  const variables = inputs.filter(({ name }) => choice.trains(name));
  const trainedReads = reads.filter(({ name }) => choice.trains(name));
  const gradients = addGradients(
    graph,
    distances.seeds,
    [...variables, ...trainedReads].map((each) => each.input),
    distances.count,
  );
  const parameters = withGradients(variables, gradients);
  const tables = withGradients(trainedReads, gradients).map((read) => ({
    ...read,
    width: read.input.type.shape.at(-1) as number,
  }));
  const outputs = [...parameters, ...tables].map(({ gradient }) => ({ name: gradient.name, node: gradient }));
  return {
    graph,
    fed: inputs,
    parameters,
    reads,
    tables,
    fromTeacher,
    labels,
    sizes: distances.sizes,
    valuesPerToken: valuesPerToken(graph.withOutputs(outputs)),
    batch: tokens[0]?.type.shape[0],
  };
}

/**
 * Copies of teacher and student as a step computes them. Where answers read the first token alone, as a classifier's do,
 * the last layers are computed and compared for that token only: a sixteenth of a step of 12 layers less. Where that
 * leaves a pair of values of other tokens, as a last layer beside one in the middle, all tokens are computed.
 */
async function networksOf({ teacher, student, layers }: StepChoice): Promise<Networks> {
  const networks = async (passes: readonly Pass[]) => {
    const copies = { teacher: copyGraph(teacher), student: copyGraph(student), readsFirst: false };
    for (const network of [copies.teacher, copies.student]) await runPasses(network, passes);
    return copies;
  };
  const hoisted = await networks([hoistTokenSlice, flattenTokens]);
  const byName = { teacher: nodesByName(hoisted.teacher), student: nodesByName(hoisted.student) };
  const hasPairs = layers.every((layer) => {
    const [own, other] = [byName.student.get(layer.student.output), byName.teacher.get(layer.teacher.output)];
    return own && other && product(own.type.shape.slice(0, -1)) === product(other.type.shape.slice(0, -1));
  });
  if (!hasPairs) return networks([flattenTokens]);
  const [batch] = hoisted.student.inputs[0]?.type.shape ?? [];
  const tokensOf = ({ student: { output } }: TaughtLayer) =>
    product((byName.student.get(output) as Node).type.shape.slice(0, -1));
  return { ...hoisted, readsFirst: layers.some((layer) => tokensOf(layer) === batch) };
}

/** Teacher and student, and whether the last layers that are compared have the first token alone. */
interface Networks {
  readonly teacher: Graph;
  readonly student: Graph;
  readonly readsFirst: boolean;
}

/** Inputs with their gradients; those that nothing depends on are left out. */
function withGradients<T extends { readonly input: Input }>(
  inputs: readonly T[],
  gradients: ReadonlyMap<Node, Node>,
): (T & { readonly gradient: Node })[] {
  return inputs.flatMap((each) => {
    const gradient = gradients.get(each.input);
    return gradient ? [{ ...each, gradient }] : [];
  });
}

function hasInput(graph: Graph, wanted: string): boolean {
  return graph.inputs.some(({ name }) => name === wanted);
}
