import { loadOnnxModel, modelOf } from '../../calibration/graph-session.ts';
import { copyGraph } from '../../ir/copy-graph.ts';
import { Graph, type Node } from '../../ir/graph.ts';
import { runPasses } from '../../ir/pass.ts';
import { sizeOf } from '../../ir/shape.ts';
import { readF32, type Tensor, tensorOf } from '../../ir/tensor.ts';
import { flattenTokens } from '../../passes/flatten-tokens.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import type { AgreementOf } from '../evaluate/agreement.ts';
import { type Answer, answerOf, Comparison } from '../evaluate/answers.ts';
import { thresholdOf } from '../evaluate/decisions.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import { answerPairs } from './compared.ts';
import { copyInto, fedStudent } from './fed-student.ts';
import { StudentFeeds } from './student-feeds.ts';
import { openTeacher } from './teacher-runs.ts';
import type { TrainedArray } from './trained.ts';

/** How near a student is to its teacher on texts that it does not learn from. */
export interface TrialResult {
  readonly sqnrDb: number;
  /** The share of equal answers, 0 … 1, or what `agreementOf` says. */
  readonly agreement: number;
  /** The measure of `agreement`: the share of equal answers, the mean cosine of vectors, or the correlation of numbers. */
  readonly agreementOf: AgreementOf;
}

/** Measures a student in training on held-out texts. */
export interface Trial {
  /** Number of held-out texts. */
  readonly texts: number;
  measure(): Promise<TrialResult>;
  close(): Promise<void>;
}

/** Texts of a run: enough to keep the cores busy. */
const RUN_TEXTS = 32;

/** Options of `openTrial`. */
export interface TrialOptions extends FeedOptions {
  readonly rows: readonly TokenRow[];
  /** What is trained, by name: its present values count. */
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  readonly trainsTables: boolean;
}

/** Asks the teacher once, and loads the student with its weights as inputs. */
export async function openTrial(teacher: Graph, student: Graph, options: TrialOptions): Promise<Trial> {
  const { pad, arrays } = options;
  const rows = options.rows.toSorted((a, b) => a.inputIds.length - b.inputIds.length);
  const names = answerPairs(teacher, student, options).map(({ name }) => name);
  const answersOf = (model: Graph, outputs: ReadonlyMap<string, Tensor>, part: readonly TokenRow[]) => {
    const reading = { ...options, threshold: thresholdOf(model, names[0]) };
    return part.map((row, i) =>
      answerOf(reading, new Map(names.map((name) => [name, rowOf(outputs.get(name), i, part.length)])), row),
    );
  };
  const graph = new Graph('trial');
  const flat = copyGraph(student);
  await runPasses(flat, [flattenTokens]);
  const tokens = flat.inputs.map(({ name, type }) => graph.input(name, type));
  const { given, reads } = fedStudent(graph, flat, options.trainsTables);
  const copies = copyInto(graph, flat, { tokens, given, shared: new Map() });
  const nodes = flat.outputs.map(({ name, node }) => [name, copies.get(node) as Node] as const);
  const session = await loadOnnxModel(
    modelOf(
      graph,
      nodes.map(([, node]) => node),
    ),
  );
  const feeds = new StudentFeeds(session.inputs, arrays, { reads, pad });
  const lengthOf = (part: readonly TokenRow[]) => feeds.fixedLength ?? (part.at(-1) as TokenRow).inputIds.length;
  const parts = Array.from({ length: Math.ceil(rows.length / RUN_TEXTS) }, (_, i) =>
    rows.slice(i * RUN_TEXTS, (i + 1) * RUN_TEXTS),
  );
  const expected: Answer[] = [];
  const teaching = await openTeacher(teacher, pad);
  try {
    for (const part of parts) expected.push(...answersOf(teacher, await teaching.answers(part, lengthOf(part)), part));
  } finally {
    await teaching.close();
  }
  return {
    texts: rows.length,
    async measure() {
      const comparison = new Comparison();
      for (const part of parts) {
        const tokens = feeds.of(part, lengthOf(part)).feeds;
        const values = await session.run(new Map([...tokens, ...feeds.trained()]));
        const outputs = new Map(nodes.map(([name, node]) => [name, values.get(node.name) as Tensor]));
        for (const answer of answersOf(student, outputs, part))
          comparison.add(expected[comparison.rows] as Answer, answer);
      }
      const { sqnrDb, agreement, agreementOf } = comparison;
      return { sqnrDb, agreement, agreementOf };
    },
    close: () => session.close(),
  };
}

/** What an output of `count` sequences has for one of them. */
function rowOf(output: Tensor | undefined, at: number, count: number): Tensor {
  const { shape } = output as Tensor;
  const row = [1, ...shape.slice(1)];
  const size = sizeOf(shape) / count;
  return tensorOf('f32', row, readF32(output as Tensor).slice(at * size, (at + 1) * size));
}
