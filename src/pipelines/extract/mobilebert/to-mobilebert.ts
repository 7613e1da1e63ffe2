import type { Checkpoint } from '../../../formats/checkpoint.ts';
import type { Graph } from '../../../ir/graph.ts';
import type { TextRuns } from '../../../ir/text-runs.ts';
import type { Task } from '../../../models/index.ts';
import { constantLinear } from '../../../passes/attention.ts';
import { tokenWeights } from '../../../passes/split-embedding.ts';
import { countTokens } from '../../../samples/count-tokens.ts';
import type { TokenRow } from '../../../samples/feeds.ts';
import { featuresOf } from '../../../solve/features.ts';
import { fitLayer } from '../../../solve/fit-layer.ts';
import { layerIn } from '../axes.ts';
import type { Selection } from '../cut-checkpoint.ts';
import { splitEmbeddings } from './fit-embeddings.ts';
import { fitAttention, fitRest } from './fit-layer.ts';
import type { MobileBertSizes } from './shape.ts';
import { Student } from './student.ts';
import { TeacherValues } from './teacher-values.ts';

/** Options of `toMobileBert`. */
export interface MobileBertOptions {
  readonly sizes: MobileBertSizes;
  /** Channels of the teacher that the student is made of. */
  readonly selection: Selection;
  /** Channels of one of the teacher's heads. */
  readonly headSize: number;
  readonly task: Task | undefined;
  readonly unused: readonly string[];
  /** Fits each layer to what the student has come to before it, in place of the teacher's own values. */
  readonly recover: boolean;
  readonly rows: readonly TokenRow[];
  readonly pad: number;
  readonly runs: TextRuns;
  readonly progress: (done: number, total: number) => void;
}

/** Makes a MobileBERT out of a BERT, layer by layer: a checkpoint with the names that transformers gives its weights. */
export async function toMobileBert(teacher: Checkpoint, graph: Graph, options: MobileBertOptions): Promise<Checkpoint> {
  const { sizes, selection, runs, progress } = options;
  const student = new Student(teacher, options);
  const original = new TeacherValues(graph, options);
  await fitEmbeddings(student, original, options);
  let x = await student.compute(student.embeddingsEnd, new Map());
  for (const [n, layer] of selection.layers.entries()) {
    progress(n, sizes.layers);
    if (!options.recover) x = await original.before(n);
    const known = new Map([[student.layerEnd(n - 1), x]]);
    const targets = await original.layer(layer);
    const stream = runs.matrixOf(x);
    const attention = await fitAttention(stream, targets, sizes, runs);
    student.setLayer(n, attention.linears);
    if (attention.state) {
      // Attention reads the state out of the bottleneck: the rest of that is not known yet, and it does not read it.
      const weight = new Float64Array(sizes.bottleneck * sizes.hidden);
      weight.set(attention.state);
      const bias = new Float64Array(sizes.bottleneck);
      student.setLayer(n, new Map([['bottleneck.input.dense', { weight, bias }]]));
    }
    const context = runs.matrixOf(await student.compute(student.layerName(n, 'attention.self'), known));
    student.setLayer(n, await fitRest({ x: stream, context, attention, targets, activate: relu }, sizes, runs));
    x = await student.compute(student.layerEnd(n), known);
  }
  if (options.recover) await fitHeads(student, original, runs);
  return student.checkpoint();
}

function relu(values: Float32Array): Float32Array {
  return values.map((value) => (value > 0 ? value : 0));
}

/** Splits the word table, then fits what reads it and its neighbours to the teacher's embeddings on the text. */
async function fitEmbeddings(
  student: Student,
  original: TeacherValues,
  { sizes, selection, rows, pad, runs }: MobileBertOptions,
): Promise<void> {
  const tables = original.embeddings();
  const split = splitEmbeddings(tables, {
    hidden: selection.hidden,
    embedding: sizes.embedding,
    rows,
    weights: tokenWeights(tables.words.shape[0] as number, countTokens(rows)),
    pad,
  });
  const name = (part: string) => `${student.prefix}embeddings.${part}`;
  student.set(name('word_embeddings.weight'), split.words);
  student.set(name('position_embeddings.weight'), split.positions);
  student.set(name('token_type_embeddings.weight'), split.types);
  student.set(name('embedding_transformation.weight'), split.transformation);
  student.set(name('embedding_transformation.bias'), split.bias);
  const values = await student.computeAll([name('trigram'), student.embeddingsEnd], new Map());
  const [trigrams, z] = values.map((each) => runs.matrixOf(each));
  if (!trigrams || !z) return;
  const features = await featuresOf(trigrams, runs);
  const y = runs.matrixOf(await original.before(0));
  const { change, offset } = await fitLayer({ features, z, y, hasGain: false }, runs);
  student.add(name('embedding_transformation.weight'), change);
  student.add(name('embedding_transformation.bias'), offset);
}

/** Fits the linears behind the layers, pooler and head, to what they give in the teacher. */
async function fitHeads(student: Student, original: TeacherValues, runs: TextRuns): Promise<void> {
  const heads = student
    .graph()
    .nodes()
    .flatMap((node) => constantLinear(node) ?? [])
    .filter(({ node }) => layerIn(node.name) === undefined && !node.name.includes('embeddings.'));
  for (const { node, x, weight, bias } of heads) {
    const values = await student.computeAll([x.name, node.name], new Map());
    const [h, z] = values.map((each) => runs.matrixOf(each));
    if (!h || !z) continue;
    const features = await featuresOf(h, runs);
    const y = await original.matrix(original.node(node.name.replace(/^mobilebert\./, '')));
    const { change, offset } = await fitLayer({ features, z, y, hasGain: false }, runs);
    student.add(weight.name, change);
    if (bias) student.add(bias.name, change && offset);
  }
}
