import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { compareFiles } from '../evaluate/compare-files.ts';
import { compareSpeed } from '../evaluate/compare-speed.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import { applyChanges } from './changes.ts';
import type { Amounts, Score } from './score-candidates.ts';
import type { Space } from './space.ts';
import type { SearchForm } from './storage.ts';
import { type WritingContext, withWritten } from './write-student.ts';

/** What storing a model in one form takes, measured on the teacher's own files. */
export interface FormCosts {
  readonly form: SearchForm;
  /** Size of the teacher's file. */
  readonly bytes: number;
  /** Bytes of a number in a weight or table, what belongs to it included. */
  readonly perWeight: number;
  readonly perVector: number;
  /** Error of the teacher's answers in this form: Σ error² / Σ answer². */
  readonly noise: number;
  /** Time of a run of the teacher in this form, as a share of that of its float file; 1 where no budget is one of time. */
  readonly time: number;
  /** What 4 bits are worth in each layer; empty but for `mixed`, whose bytes and noise are those of 8 bits everywhere. */
  readonly narrow: readonly NarrowLayer[];
}

/** A layer whose linears have 4 bits in place of 8. */
export interface NarrowLayer {
  readonly layer: number;
  /** Numbers in its weights. */
  readonly weights: number;
  /** Bytes that the teacher's file has less. */
  readonly saving: number;
  /** Error that its answers have more. */
  readonly noise: number;
}

/** Bytes that a model saves in a form where it has so many numbers less. */
export function savedBytes({ perWeight, perVector }: FormCosts, { weights, vectors }: Amounts): number {
  return perWeight * weights + perVector * vectors;
}

/**
 * Writes the teacher in each form, as it is and with its largest change, and runs it beside `reference`, its float file.
 * One form alone is not run: there is nothing to choose.
 */
export async function measureForms(
  space: Space,
  forms: readonly SearchForm[],
  {
    scores,
    reference,
    inputs,
    rows,
    feeds,
    isTimed,
    context,
  }: {
    readonly scores: readonly Score[];
    readonly reference: string;
    /** A graph with the inputs that the files have. */
    readonly inputs: Graph;
    readonly rows: readonly TokenRow[];
    readonly feeds: FeedOptions;
    /** Whether files are timed besides. */
    readonly isTimed: boolean;
    readonly context: WritingContext;
  },
): Promise<FormCosts[]> {
  const { teacher } = space;
  const largest = scores.reduce((best, score) => (score.saved.weights > best.saved.weights ? score : best));
  const smaller = copyGraph(teacher);
  applyChanges(smaller, [largest], space);
  const comparison = { inputs, rows, feeds };
  const costs: FormCosts[] = [];
  for (const form of forms) {
    const isCompared = form === 'mixed' || (forms.length > 1 && form !== 'f32');
    const storage = { form, narrow: [] };
    const { bytes, noise, time } = await withWritten(teacher, storage, context, async (file) => ({
      bytes: file.bytes,
      noise: isCompared ? await noiseOfFile(reference, file.path, comparison) : 0,
      time: isTimed && form !== 'f32' ? await timeOfFile(reference, file.path, space) : 1,
    }));
    const less = await withWritten(smaller, storage, context, async (file) => bytes - file.bytes);
    const perVector = form === 'f16' ? 2 : 4;
    // Where layers share their weights, what one of them does without is still there.
    const { weights, vectors } = largest.saved;
    const perWeight = weights > 0 ? (less - perVector * vectors) / weights : 0;
    const narrow: NarrowLayer[] = [];
    for (const { layer, nodes } of form === 'mixed' ? space.blocks : []) {
      context.run.progress('measuring layers in 4 bits', layer, space.blocks.length);
      const found = await withWritten(teacher, { form, narrow: [layer] }, context, async (file) => ({
        saving: bytes - file.bytes,
        noise: Math.max(0, (await noiseOfFile(reference, file.path, comparison)) - noise),
      }));
      narrow.push({ layer, weights: weightsIn(teacher, nodes), ...found });
    }
    costs.push({ form, bytes, perWeight, perVector, noise, time, narrow });
  }
  return costs;
}

function weightsIn(graph: Graph, names: ReadonlySet<string>): number {
  const linears = graph.nodes().filter(({ op, name }) => op === 'linear' && names.has(name));
  return linears.reduce((sum, { inputs: [, weight] }) => sum + sizeOf((weight?.type.shape ?? []) as number[]), 0);
}

/** Σ error² / Σ answer² of a file's answers beside those of the float file. */
async function noiseOfFile(
  reference: string,
  path: string,
  { inputs, rows, feeds }: { readonly inputs: Graph; readonly rows: readonly TokenRow[]; readonly feeds: FeedOptions },
): Promise<number> {
  const { sqnrDb } = await compareFiles(reference, path, inputs, {
    ...feeds,
    rows,
    labels: undefined,
    progress: () => undefined,
  });
  return 10 ** (-sqnrDb / 10);
}

/** Time of a file as a share of that of the float file, both run in turns. */
async function timeOfFile(reference: string, path: string, { teacher, maxPositions }: Space): Promise<number> {
  return 1 / (await compareSpeed(reference, path, { reference: teacher, maxPositions })).speedup;
}
