import { MbertError } from '../../errors.ts';
import type { Graph, Input, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { type Shape, sameShape } from '../../ir/shape.ts';
import type { Reading } from '../evaluate/answers.ts';
import { type OutputKind, outputKinds } from '../evaluate/logits-kl.ts';
import { probabilityMaker } from '../evaluate/probabilities.ts';
import type { Distances, Pair } from './distances.ts';
import type { TaughtLayer } from './trained.ts';

/** A graph of teacher and student while it is built. */
export interface Building {
  readonly graph: Graph;
  readonly distances: Distances;
  /** Adds a trained parameter that the student does not have. */
  readonly parameterOf: (name: string, shape: Shape) => Node;
}

/** The copies of one model's nodes in the common graph. */
export class Copies {
  readonly source: Graph;
  readonly #byName: ReadonlyMap<string, Node>;
  readonly #copies: ReadonlyMap<Node, Node>;

  constructor(source: Graph, copies: ReadonlyMap<Node, Node>) {
    this.source = source;
    this.#byName = nodesByName(source);
    this.#copies = copies;
  }

  of(node: Node): Node {
    return this.#copies.get(node) as Node;
  }

  named(name: string): Node {
    const node = this.#byName.get(name);
    if (node === undefined) {
      throw new MbertError('INVALID_GRAPH', `${this.source.name}: has no node ${name} to train on`);
    }
    return this.of(node);
  }
}

/** Adds the distances of layers: of attention where both have the same heads, and of what each layer gives. */
export function addLayers(
  building: Building,
  layers: readonly TaughtLayer[],
  { teacher, student }: { readonly teacher: Copies; readonly student: Copies },
): void {
  const { distances } = building;
  for (const layer of layers) {
    const attention = layer.student.attention && {
      teacher: teacher.named(layer.teacher.attention),
      student: student.named(layer.student.attention),
    };
    // Pruned attention has other heads than the teacher's.
    if (attention && sameShape(attention.student.type.shape, attention.teacher.type.shape))
      distances.addAttention(attention, layer.weight);
    const { output } = layer.student;
    const pair = { teacher: teacher.named(layer.teacher.output), student: student.named(output) };
    distances.addFeatures(alike(building, pair, projectionName(output)), layer.weight);
  }
}

/** The name of what maps a student's value to a teacher's that it is unlike. */
export function projectionName(output: string): string {
  return `projection.${output}`;
}

/**
 * True where a student's value is compared through a trained linear: where it has other channels than its teacher's, and
 * where only one of the two is the result of a norm. A norm that was folded away leaves its gains in the weights around
 * it, so that each channel of the sum has a scale of its own.
 */
export function isUnlike({ teacher, student }: Pair): boolean {
  const isNorm = ({ op }: Node) => op === 'layerNorm' || op === 'noNorm';
  return student.type.shape.at(-1) !== teacher.type.shape.at(-1) || isNorm(student) !== isNorm(teacher);
}

/** Puts a student's value into the shape of its teacher's, through a trained linear where the two are unlike. */
function alike({ graph, parameterOf }: Building, pair: Pair, name: string): Pair {
  const { teacher, student } = pair;
  const [own, wanted] = [student.type.shape.at(-1), teacher.type.shape.at(-1)] as [number, number];
  const { shape } = teacher.type;
  const value = isUnlike(pair)
    ? graph.add('linear', [
        student,
        parameterOf(`${name}.weight`, [wanted, own]),
        parameterOf(`${name}.bias`, [wanted]),
      ])
    : student;
  return { teacher, student: sameShape(value.type.shape, shape) ? value : graph.add('reshape', [value], { shape }) };
}

/** What the student answers beside its teacher's answer. */
export interface AnswerPair {
  /** The name of the output. */
  readonly name: string;
  readonly teacher: Node;
  readonly student: Node;
  /** What its values mean; undefined for features. */
  readonly kind: OutputKind | undefined;
}

/** Pairs the outputs that both models have, in the teacher's order. */
export function answerPairs(
  teacher: Graph,
  student: Graph,
  reading: Pick<Reading, 'task' | 'logitsKind'>,
): AnswerPair[] {
  const kinds = outputKinds(teacher, student, reading);
  return teacher.outputs.flatMap(({ name, node }) => {
    const own = student.outputs.find((output) => output.name === name)?.node;
    if (own === undefined || !isComparable(own, node)) return [];
    return [{ name, teacher: node, student: own, kind: kinds.find((each) => each.teacher === node)?.kind }];
  });
}

function isComparable(a: Node, b: Node): boolean {
  const [x, y] = [a.type.shape, b.type.shape];
  return x.length === y.length && (typeof x.at(-1) !== 'number' || x.at(-1) === y.at(-1));
}

/** Adds the distances of answers. `teacherOf` gives the node that holds a teacher's answer. */
export function addAnswers(
  building: Building,
  pairs: readonly AnswerPair[],
  student: Copies,
  teacherOf: (node: Node, name: string) => Node,
): void {
  for (const { name, kind, ...nodes } of pairs) {
    const pair = { teacher: teacherOf(nodes.teacher, name), student: student.of(nodes.student) };
    if (kind !== undefined) building.distances.addAnswers(pair, kind);
    else building.distances.addFeatures(pair, 1);
  }
}

/** Adds the cross-entropy of a classifier's labels. Throws UNSUPPORTED for a student that gives no logits. */
export function addLabels({ graph, distances }: Building, student: Copies): Input {
  const [logits] = student.source.outputs;
  if (logits === undefined) throw new MbertError('INVALID_GRAPH', `${student.source.name}: has no output`);
  if (probabilityMaker(logits.node) !== undefined) {
    throw new MbertError('UNSUPPORTED', `--labels: ${student.source.name}: ${logits.name} is probabilities`, {
      hint: 'labels are learnt by logits: take the model before its softmax, or leave --labels out',
    });
  }
  const labels = graph.input('labels', logits.node.type);
  distances.addLabels(student.of(logits.node), labels);
  return labels;
}
