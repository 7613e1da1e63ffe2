import { MbertError } from '../../errors.ts';
import { fitProjections } from './projections.ts';
import { stagesOf } from './stages.ts';
import { withJoined } from './texts.ts';
import { type TrainedArray, trainedArrays } from './trained.ts';
import { Training } from './training.ts';
import { openTrial } from './trial.ts';
import type { Checkpoints, TrainingJob, TrainingResult } from './types.ts';

/**
 * Trains a student towards its teacher by gradient descent, stage by stage. Nothing is trained where the student gives
 * the teacher's answers already. Throws UNSUPPORTED where an op has no gradient, USAGE for a plan that does not fit.
 */
export async function train(job: TrainingJob, checkpoints?: Checkpoints): Promise<TrainingResult> {
  const { teacher, student, layers, plan } = job;
  const stages = stagesOf(plan.strategy, layers, { steps: plan.steps, student });
  const rows = withJoined(job.heldOut, plan.maxLength);
  if (plan.steps === undefined && rows.length === 0) {
    throw new MbertError('USAGE', 'auto: no text is left by which training could be ended', {
      hint: 'give more texts, say --samples with fewer than there are, or a number of steps',
    });
  }
  const arrays = await startingArrays(job, checkpoints);
  const trial =
    rows.length > 0
      ? await openTrial(teacher, student, { ...job, rows, arrays, trainsTables: plan.trainsTables })
      : undefined;
  try {
    const training = new Training(job, { stages, arrays, trial, checkpoints });
    await training.run();
    const own = trainedArrays(student, { withTables: plan.trainsTables }).map(({ name }) => name);
    return {
      arrays: new Map(own.map((name) => [name, arrays.get(name) as TrainedArray])),
      stages: training.stages,
      curve: training.curve,
      after: training.after,
      heldOut: rows.length,
      state: training.state,
    };
  } finally {
    await trial?.close();
  }
}

/** The arrays of the student and the projections to its teacher, as they are saved or to begin with. */
async function startingArrays(
  { teacher, student, layers, plan, texts, pad }: TrainingJob,
  checkpoints: Checkpoints | undefined,
): Promise<ReadonlyMap<string, TrainedArray>> {
  const saved = checkpoints?.state?.arrays;
  const arrays = saved ?? [
    ...trainedArrays(student, { withTables: plan.trainsTables }),
    ...(await fitProjections(teacher, student, layers, { pad, rows: texts })),
  ];
  return new Map(arrays.map((array) => [array.name, array]));
}
