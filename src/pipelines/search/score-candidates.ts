import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph, Node } from '../../ir/graph.ts';
import { nodesByName } from '../../ir/nodes-by-name.ts';
import { isFloat } from '../../ir/op.ts';
import { countOperations, usualSizes } from '../../ir/operation-costs.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { BatchValues, TextMatrix, TextRuns } from '../../ir/text-runs.ts';
import type { Block } from './blocks.ts';
import { branchOf, type Candidate, type Change } from './changes.ts';
import { fitChanges } from './fit-changes.ts';
import type { Space } from './space.ts';

/** Numbers of a graph by which models are chosen. */
export interface Amounts {
  /** Numbers in weights and tables. */
  readonly weights: number;
  /** Numbers in biases, norms and other vectors. */
  readonly vectors: number;
  /** Counted operations of a run, see `countOperations`. */
  readonly operations: number;
}

/** A candidate by itself: every other block is as the teacher has it. */
export interface Score extends Candidate {
  /** Error of the answers on texts that it was not fitted to: Σ error² / Σ answer², a mean over the outputs. */
  readonly noise: number;
  /** What the model has less of than the teacher. */
  readonly saved: Amounts;
}

/** The texts that candidates are fitted to and scored on. */
export interface ScoringTexts {
  readonly fitted: TextRuns;
  readonly scored: TextRuns;
}

/**
 * Fits each candidate to its teacher's block, which reads what the teacher reads, and scores the answers of the teacher
 * with this one block changed. Candidates of one layer should follow one another: what the layer reads is computed once.
 */
export class Scorer {
  readonly #space: Space;
  readonly #texts: ScoringTexts;
  readonly #amounts: Amounts;
  #expected: readonly TextMatrix[] | undefined;
  #reads: { readonly layer: number; readonly fitted: Reads; readonly scored: Reads } | undefined;

  constructor(space: Space, texts: ScoringTexts) {
    this.#space = space;
    this.#texts = texts;
    this.#amounts = amountsOf(space.teacher, space.maxPositions);
  }

  async score({ layer, change }: Candidate): Promise<Score> {
    const { teacher, blocks, maxPositions } = this.#space;
    const { fitted, scored } = this.#texts;
    const reads = await this.#readsOf(layer);
    const student = copyGraph(teacher);
    await fitChanges(student, [{ layer, change }], this.#space, {
      runs: startingAt(fitted, reads.fitted),
      fitsIn: (graph) => fittedEnds(blocks[layer], change, graph),
    });
    this.#expected ??= await answersOf(teacher, scored);
    const noise = noiseOf(this.#expected, await answersOf(student, startingAt(scored, reads.scored)));
    return { layer, change, noise, saved: less(this.#amounts, amountsOf(student, maxPositions)) };
  }

  /** Computes what a layer reads on all texts. */
  async #readsOf(layer: number) {
    if (this.#reads?.layer === layer) return this.#reads;
    const { teacher, blocks } = this.#space;
    const input = blocks[layer]?.input;
    const node = input === undefined ? undefined : nodesByName(teacher).get(input);
    const read = async (runs: TextRuns): Promise<Reads> =>
      node && { name: node.name, values: (await runs.compute(teacher, [node], new Map())).get(node) as BatchValues };
    this.#reads = { layer, fitted: await read(this.#texts.fitted), scored: await read(this.#texts.scored) };
    return this.#reads;
  }
}

/**
 * Where a change is made up for: in the linear that reads fewer units, and otherwise in all that is left of the block.
 * What follows in the block would make up for more, and take most of the time. A word table has its best axes already.
 */
function fittedEnds(block: Block | undefined, change: Change, student: Graph): (end: string) => boolean {
  if (change.kind !== 'units' || change.kept === 0) return (end) => block?.nodes.has(end) ?? false;
  const reader = nodesByName(student).get(change.group);
  const own = branchOf(reader)?.sum.name ?? change.group;
  return (end) => end === own;
}

/** Values of the node of this name, which all graphs compute alike. */
type Reads = { readonly name: string; readonly values: BatchValues } | undefined;

/** The same runs, in which one value is known already. */
function startingAt(runs: TextRuns, reads: Reads): TextRuns {
  if (reads === undefined) return runs;
  const { name, values } = reads;
  return {
    ...runs,
    compute(graph, wanted, known) {
      const node = nodesByName(graph).get(name);
      return runs.compute(graph, wanted, node ? new Map([...known, [node, values]]) : known);
    },
  };
}

/** Numbers of a token above which an output is held as what its linear reads: scores of all words are gigabytes. */
const WIDE = 4096;

/** The values of a graph's outputs on the text. */
export async function answersOf(graph: Graph, runs: TextRuns): Promise<TextMatrix[]> {
  const nodes = graph.outputs.map(({ node }) => answerOf(node)).filter(({ type }) => isFloat(type.dtype));
  const values = await runs.compute(graph, [...new Set(nodes)], new Map());
  return nodes.map((node) => runs.matrixOf(values.get(node) as BatchValues));
}

function answerOf(output: Node): Node {
  const width = output.type.shape.at(-1);
  return output.op === 'linear' && typeof width === 'number' && width > WIDE ? (output.inputs[0] as Node) : output;
}

/** Σ error² / Σ value², a mean over the outputs. */
export function noiseOf(expected: readonly TextMatrix[], actual: readonly TextMatrix[]): number {
  let sum = 0;
  for (const [i, { values }] of expected.entries()) {
    const others = (actual[i] as TextMatrix).values;
    let [noise, signal] = [0, 0];
    for (let at = 0; at < values.length; at++) {
      noise += ((values[at] as number) - (others[at] as number)) ** 2;
      signal += (values[at] as number) ** 2;
    }
    sum += signal > 0 ? noise / signal : 0;
  }
  return sum / expected.length;
}

/** Counts what a graph holds and what a run of it takes. */
export function amountsOf(graph: Graph, maxPositions: number): Amounts {
  let [weights, vectors] = [0, 0];
  for (const node of graph.nodes()) {
    if (node.op !== 'constant') continue;
    const { shape } = node.tensor;
    if (shape.length > 1) weights += sizeOf(shape);
    else vectors += sizeOf(shape);
  }
  const { multiplyAdds, others } = countOperations(graph, usualSizes(graph, maxPositions), 'onnx');
  return { weights, vectors, operations: multiplyAdds + others };
}

function less(before: Amounts, after: Amounts): Amounts {
  return {
    weights: before.weights - after.weights,
    vectors: before.vectors - after.vectors,
    operations: before.operations - after.operations,
  };
}
