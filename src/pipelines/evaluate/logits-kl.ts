import type { Graph, Node } from '../../ir/graph.ts';
import { readF32, type Tensor } from '../../ir/tensor.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import type { Reading } from './answers.ts';
import { PROBABILITY, probabilityMaker } from './probabilities.ts';

/**
 * Values of an output that are one distribution: a row of [batch, classes], each token's row, or the tokens themselves;
 * of labels, each of which applies or not, every value has one of its own.
 */
export type OutputKind = 'choice' | 'token-choices' | 'span' | 'labels';

/** Pairs the outputs of teacher and student that have one name and width and are logits in both. */
export function outputKinds(
  teacher: Graph,
  student: Graph,
  { task, logitsKind }: Pick<Reading, 'task' | 'logitsKind'>,
): { readonly teacher: Node; readonly student: Node; readonly kind: OutputKind }[] {
  return teacher.outputs.flatMap(({ name, node }) => {
    const studentNode = student.outputs.find((output) => output.name === name)?.node;
    const areLogits = [node, studentNode].every((each) => probabilityMaker(each) === undefined);
    const kind = areLogits && name !== PROBABILITY ? kindOf(node, task, logitsKind) : undefined;
    const isAlike = studentNode?.type.shape.length === node.type.shape.length;
    if (studentNode === undefined || kind === undefined || !isAlike) return [];
    const width = node.type.shape.at(-1);
    if (kind !== 'span' && (width !== studentNode.type.shape.at(-1) || (width === 1 && kind !== 'labels'))) return [];
    return [{ teacher: node, student: studentNode, kind }];
  });
}

/** Tasks whose outputs are no logits of choices. */
const WITHOUT_CHOICE: ReadonlySet<Task> = new Set(['features', 'sentence-embedding', 'replaced-tokens']);

function kindOf({ type }: Node, task: Task | undefined, logits: LogitsKind | undefined): OutputKind | undefined {
  if (task === 'sequence-classification' && logits === 'multi-label') return 'labels';
  if (task !== undefined && WITHOUT_CHOICE.has(task)) return undefined;
  if (type.shape.length === 2) return task === 'qa' ? 'span' : 'choice';
  return task !== undefined && task !== 'qa' && type.shape.length === 3 ? 'token-choices' : undefined;
}

/**
 * KL(teacher ‖ student) of softmax of logits, in nats, averaged over distributions; of labels, the sum of each label's
 * divergence by its sigmoid, averaged over sequences.
 */
export class LogitsKl {
  readonly #kind: OutputKind;
  #sum = 0;
  #count = 0;

  constructor(kind: OutputKind) {
    this.#kind = kind;
  }

  /** Adds the logits of the first sequence in a batch, without its padding. */
  add(teacher: Tensor, student: Tensor, valid: number): void {
    const [a, b] = [readF32(teacher), readF32(student)];
    const width = this.#kind === 'span' ? valid : (teacher.shape.at(-1) as number);
    const rows = this.#kind === 'token-choices' ? valid : 1;
    const divergence = this.#kind === 'labels' ? divergenceOfLabels : divergenceOfClasses;
    for (let row = 0; row < rows; row++) {
      this.#sum += divergence(a.subarray(row * width, (row + 1) * width), b.subarray(row * width, (row + 1) * width));
      this.#count++;
    }
  }

  get mean(): number {
    return this.#sum / this.#count;
  }
}

function divergenceOfClasses(teacher: Float32Array, student: Float32Array): number {
  const [p, q] = [logSoftmax(teacher), logSoftmax(student)];
  return p.reduce((sum, logP, i) => sum + Math.exp(logP) * (logP - (q[i] as number)), 0);
}

/** Σ p (log p - log q) + (1 - p) (log(1 - p) - log(1 - q)) with the sigmoids p and q. */
function divergenceOfLabels(teacher: Float32Array, student: Float32Array): number {
  return teacher.reduce((sum, t, i) => {
    const s = student[i] as number;
    const p = Math.exp(logSigmoid(t));
    return sum + p * (logSigmoid(t) - logSigmoid(s)) + (1 - p) * (logSigmoid(-t) - logSigmoid(-s));
  }, 0);
}

/** The logarithm of the sigmoid, without overflow. */
function logSigmoid(x: number): number {
  return Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
}

function logSoftmax(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sum = logits.reduce((total, value) => total + Math.exp(value - largest), 0);
  return Float64Array.from(logits, (value) => value - largest - Math.log(sum));
}
