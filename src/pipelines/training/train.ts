import { MbertError } from '../../errors.ts';
import { fitProjections } from './projections.ts';
import { TRIAL_SHARE, TRIALS } from './schedule.ts';
import { openStage } from './stage-runs.ts';
import { type Stage, stagesOf } from './stages.ts';
import { BATCHES_OF_ALL_LENGTHS, lessons, withJoined } from './texts.ts';
import { AUTO_MINUTES, timedSteps } from './timed-steps.ts';
import { type TrainedArray, trainedArrays } from './trained.ts';
import { BATCH, Training } from './training.ts';
import { openTrial, type Trial } from './trial.ts';
import type { Checkpoints, TrainingJob, TrainingResult } from './types.ts';

/**
 * Trains a student towards its teacher by gradient descent, stage by stage. Nothing is trained where the student gives
 * the teacher's answers already. Throws UNSUPPORTED where an op has no gradient, USAGE for a plan that does not fit.
 */
export async function train(job: TrainingJob, checkpoints?: Checkpoints): Promise<TrainingResult> {
  const { teacher, student, layers, plan } = job;
  const rows = withJoined(job.heldOut, plan.maxLength);
  if (plan.steps === 'auto' && rows.length === 0) {
    throw new MbertError('USAGE', 'auto: no text is left by which training could be ended', {
      hint: 'give more texts, say --samples with fewer than there are, or a number of steps',
    });
  }
  // A plan that does not fit is refused before anything is loaded.
  const given = typeof plan.steps === 'number' ? plan.steps : undefined;
  stagesOf(plan.strategy, layers, { steps: given, student });
  const arrays = await startingArrays(job, checkpoints);
  const trial =
    rows.length > 0
      ? await openTrial(teacher, student, { ...job, rows, arrays, trainsTables: plan.trainsTables })
      : undefined;
  try {
    const most = await numberOfSteps(job, { arrays, trial, saved: checkpoints?.state?.most });
    const steps = plan.steps === 'auto' ? undefined : most;
    const stages = stagesOf(plan.strategy, layers, { steps, student }).map((stage) => unfrozen(stage, plan));
    const training = new Training(job, { steps, most, stages, arrays, trial, checkpoints });
    await training.run();
    const own = trainedArrays(student, { withTables: plan.trainsTables })
      .map(({ name }) => name)
      .filter((name) => !plan.frozen?.includes(name));
    return {
      arrays: new Map(own.map((name) => [name, arrays.get(name) as TrainedArray])),
      stages: training.stages,
      curve: training.curve,
      after: training.after,
      heldOut: rows.length,
      state: training.takeState(),
    };
  } finally {
    await trial?.close();
  }
}

/** A stage that trains nothing of what stays as it is. */
function unfrozen(stage: Stage, { frozen = [] }: TrainingJob['plan']): Stage {
  const names = new Set(frozen);
  return { ...stage, trains: (name) => !names.has(name) && stage.trains(name) };
}

/** What a number of steps is found with where a time is given. */
interface StepTiming {
  readonly arrays: ReadonlyMap<string, TrainedArray>;
  readonly trial: Trial | undefined;
  /** The number in a saved state: a second timing would find another one. */
  readonly saved: number | undefined;
}

/** The number of steps, or the most of them where held-out text tells when to end. */
async function numberOfSteps(
  { teacher, student, layers, plan, task, logitsKind, texts, pad, mask, progress }: TrainingJob,
  { arrays, trial, saved }: StepTiming,
): Promise<number> {
  const { steps } = plan;
  if (typeof steps === 'number') return steps;
  if (saved !== undefined) return saved;
  const minutes = steps === 'auto' ? AUTO_MINUTES : steps.minutes;
  if (!(minutes > 0)) throw new MbertError('USAGE', `${minutes} minutes: must be a positive number`);
  progress('timing steps', 0, undefined);
  // Stages that compare less take no longer.
  const [stage] = stagesOf('auxiliary', layers, { steps: undefined, student });
  const runs = await openStage(unfrozen(stage as Stage, plan), {
    teacher,
    student,
    task,
    logitsKind,
    pad,
    arrays,
    ...plan,
  });
  try {
    const fromMs = performance.now();
    await trial?.measure();
    const trialMs = performance.now() - fromMs;
    const drawn = lessons(texts, { ...plan, size: BATCH, mask });
    const batches = Array.from({ length: BATCHES_OF_ALL_LENGTHS }, () => drawn.next().value);
    const limitMs = 60_000 * minutes;
    const otherMs = steps === 'auto' ? TRIAL_SHARE * limitMs + trialMs : (TRIALS + 1) * trialMs;
    return await timedSteps(limitMs, { runs, arrays, batches, otherMs, nowMs: () => performance.now() });
  } finally {
    await runs.close();
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
