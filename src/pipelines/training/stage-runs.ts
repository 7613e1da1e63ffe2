import type { Graph } from '../../ir/graph.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import type { View } from '../../samples/views.ts';
import type { Gradient } from '../../solve/adam.ts';
import { GradientRuns } from './gradient-runs.ts';
import { openPartRuns } from './open-part-runs.ts';
import type { Stage } from './stages.ts';
import { type StepChoice, stepGraph } from './step-graph.ts';
import { openTeacher, type TeacherRuns } from './teacher-runs.ts';
import type { Batch } from './texts.ts';
import type { TrainedArray } from './trained.ts';

/** Options of `openStage`. */
export interface StageOptions {
  readonly teacher: Graph;
  readonly student: Graph;
  readonly task: Task | undefined;
  readonly logitsKind?: LogitsKind | undefined;
  /** Token id of padding. */
  readonly pad: number;
  /** What is trained, by name. */
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  readonly trainsTables: boolean;
  readonly hasLabels: boolean;
  readonly views: readonly View[];
}

/** Computes the gradients of a stage. */
export interface StageRuns {
  /** Names of what the stage trains, in the arrays' order. */
  readonly names: readonly string[];
  gradients(batch: Batch): Promise<ReadonlyMap<string, Gradient>>;
  close(): Promise<void>;
}

/**
 * Loads what a stage needs into ONNX Runtime. Layers can only be compared where both models read the same tokens, with
 * the teacher in the same graph; where only answers are compared, the teacher runs apart.
 */
export async function openStage(stage: Stage, options: StageOptions): Promise<StageRuns> {
  const { teacher, student, task, logitsKind, arrays, trainsTables, pad } = options;
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const each of opened) await each.close();
  };
  const hasOtherViews = stage.comparesAnswers && options.views.some((view) => view !== 'full');
  const choice = { teacher, student, task, logitsKind, trainsTables, trains: stage.trains };
  const load = async (more: Omit<StepChoice, keyof typeof choice>, apart?: TeacherRuns) => {
    const step = await stepGraph({ ...choice, ...more });
    const parts = await openPartRuns(step, arrays);
    opened.push(parts);
    return { step, runs: new GradientRuns(parts, step, arrays, { pad, teacher: apart }) };
  };
  const hasLabels = stage.comparesAnswers && options.hasLabels;
  try {
    const together =
      stage.layers.length > 0
        ? await load({ layers: stage.layers, comparesAnswers: stage.comparesAnswers, isTeacherApart: false, hasLabels })
        : undefined;
    let apart: typeof together;
    if (hasOtherViews || together === undefined) {
      const alone = await openTeacher(teacher, pad);
      opened.push(alone);
      apart = await load({ layers: [], comparesAnswers: true, isTeacherApart: true, hasLabels }, alone);
    }
    const trained = new Set(
      [together, apart].flatMap((each) =>
        each ? [...each.step.parameters, ...each.step.tables].map(({ name }) => name) : [],
      ),
    );
    return {
      names: [...arrays.keys()].filter((name) => trained.has(name)),
      gradients({ view, lessons }) {
        const by = (view === 'full' ? together : undefined) ?? apart ?? together;
        return (by as NonNullable<typeof by>).runs.gradients(lessons);
      },
      close,
    };
  } catch (cause) {
    await close();
    throw cause;
  }
}
