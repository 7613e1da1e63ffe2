import { copyGraph } from '../../ir/copy-graph.ts';
import type { Graph } from '../../ir/graph.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { TokenRow } from '../../samples/feeds.ts';
import { compareFiles } from '../evaluate/compare-files.ts';
import { compareSpeed } from '../evaluate/compare-speed.ts';
import type { FeedOptions } from '../evaluate/loaded-model.ts';
import { applyChanges, WORDS } from './changes.ts';
import type { Score } from './score-candidates.ts';
import type { Space } from './space.ts';
import type { SearchForm } from './storage.ts';
import { type WritingContext, withWritten } from './write-student.ts';

/** What storing a model in one form takes, measured on the teacher's own files. */
export interface FormCosts {
  readonly form: SearchForm;
  /** Size of the teacher's file. */
  readonly bytes: number;
  /** Bytes of a number in the word table and in a layer's weights, what belongs to it included: 4 bits are for weights. */
  readonly perWeight: { readonly words: number; readonly layers: number };
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

/** Bytes that a model saves in a form by a change. */
export function savedBytes({ perWeight, perVector }: FormCosts, { layer, saved }: Score): number {
  return perWeight[placeOf(layer)] * saved.weights + perVector * saved.vectors;
}

function placeOf(layer: number): 'words' | 'layers' {
  return layer === WORDS ? 'words' : 'layers';
}

/**
 * Writes the teacher in each form, as it is and with the largest change of its word table and of a layer, and runs it
 * beside `reference`, its float file.
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
  const comparison = { inputs, rows, feeds };
  const costs: FormCosts[] = [];
  for (const form of forms) {
    const storage = { form, narrow: [] };
    const { bytes, noise, time } = await withWritten(teacher, storage, context, async (file) => ({
      bytes: file.bytes,
      noise: form !== 'f32' ? await noiseOfFile(reference, file.path, comparison) : 0,
      time: isTimed && form !== 'f32' ? await timeOfFile(reference, file.path, space) : 1,
    }));
    const perVector = form === 'f16' ? 2 : 4;
    const perWeightIn = async (place: 'words' | 'layers') => {
      const own = scores.filter(({ layer }) => placeOf(layer) === place);
      const largest = own.toSorted((a, b) => b.saved.weights - a.saved.weights)[0];
      // Where layers share their weights, what one of them does without is still there.
      if (largest === undefined || largest.saved.weights <= 0) return 0;
      const smaller = copyGraph(teacher);
      applyChanges(smaller, [largest], space);
      const less = await withWritten(smaller, storage, context, async (file) => bytes - file.bytes);
      return (less - perVector * largest.saved.vectors) / largest.saved.weights;
    };
    const perWeight = { words: await perWeightIn('words'), layers: await perWeightIn('layers') };
    const narrow: NarrowLayer[] = [];
    for (const { layer, nodes } of form === 'mixed' ? space.blocks : []) {
      const weights = weightsIn(teacher, nodes);
      if (weights === 0) continue;
      context.run.progress('measuring layers in 4 bits', layer, space.blocks.length);
      const found = await withWritten(teacher, { form, narrow: [layer] }, context, async (file) => ({
        saving: bytes - file.bytes,
        noise: Math.max(0, (await noiseOfFile(reference, file.path, comparison)) - noise),
      }));
      narrow.push({ layer, weights, ...found });
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
