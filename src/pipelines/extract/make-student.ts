import { openRuns } from '../../calibration/token-runs.ts';
import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import type { Graph } from '../../ir/graph.ts';
import type { TextRuns } from '../../ir/text-runs.ts';
import { fromCheckpoint } from '../../opened/checkpoint-model.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { type Run, within } from '../../options/run.ts';
import type { SampleSets } from '../evaluate/sample-sets.ts';
import { gradientTokens } from '../training/gradient-memory.ts';
import { storedNameOf } from '../write/stored-name.ts';
import { cutCheckpoint, type Selection } from './cut-checkpoint.ts';
import type { MobileBertSizes } from './mobilebert/shape.ts';
import { toMobileBert } from './mobilebert/to-mobilebert.ts';
import { recover } from './recover.ts';
import type { StudentShape, TeacherShape } from './sizes.ts';

/** A teacher, read. */
export interface Teacher {
  readonly checkpoint: Checkpoint;
  readonly model: OpenedModel;
  readonly graph: Graph;
  readonly teacher: TeacherShape;
}

/** How a student is made. */
export interface StudentPlan {
  readonly selection: Selection;
  readonly shape: StudentShape & { readonly heads: number };
  readonly recover: boolean;
  readonly samples: SampleSets;
  readonly pad: number;
  readonly run: Run;
}

/** A student, and how many of its weights and biases were fitted to text one after the other. */
export interface MadeStudent {
  readonly student: Checkpoint;
  readonly refitted: number;
}

/** Cuts a BERT out of a BERT. */
export async function makeBert({ checkpoint, model, graph }: Teacher, plan: StudentPlan): Promise<MadeStudent> {
  const { selection, shape, samples, pad, run } = plan;
  const student = cutCheckpoint(checkpoint, selection, { unused: model.unused, shape });
  if (!plan.recover) return { student, refitted: 0 };
  const changed = await withRuns(graph, samples.calibration, pad, (runs) => {
    const bare = fromCheckpoint(student, { task: model.task }).reference();
    return recover(bare, graph, selection, { runs, progress: within(run, 'fitting') });
  });
  const tensors = new Map(student.tensors);
  for (const [name, tensor] of changed) tensors.set(storedName(name, tensors), tensor);
  return { student: { ...student, tensors }, refitted: changed.size };
}

/** Makes a MobileBERT of some sizes out of a BERT. */
export function makeMobileBert(sizes: MobileBertSizes) {
  return async ({ checkpoint, model, graph, teacher }: Teacher, plan: StudentPlan): Promise<MadeStudent> => {
    const { selection, samples, pad, run } = plan;
    const student = await withRuns(graph, samples.calibration, pad, (runs) =>
      toMobileBert(checkpoint, graph, {
        sizes,
        selection,
        headSize: teacher.hidden / teacher.heads,
        task: model.task,
        unused: model.unused,
        recover: plan.recover,
        rows: samples.calibration,
        pad,
        runs,
        progress: within(run, 'fitting'),
      }),
    );
    return { student, refitted: plan.recover ? student.tensors.size : 0 };
  };
}

/** Runs `use` with runs of a graph on texts, and frees what these hold. */
export async function withRuns<T>(
  graph: Graph,
  rows: SampleSets['calibration'],
  pad: number,
  use: (runs: TextRuns) => Promise<T>,
): Promise<T> {
  const runs = await openRuns(graph, rows, { pad, batchTokens: gradientTokens(graph) });
  try {
    return await use(runs);
  } finally {
    await runs.close();
  }
}

function storedName(name: string, tensors: ReadonlyMap<string, unknown>): string {
  const stored = storedNameOf(name, tensors);
  if (stored !== undefined) return stored;
  throw new MbertError('INVALID_GRAPH', `${name}: was fitted, but the checkpoint has no such weight`);
}
