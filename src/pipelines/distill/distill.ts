import { createHash } from 'node:crypto';
import { MbertError } from '../../errors.ts';
import { graphText } from '../../ir/text.ts';
import { changedModel } from '../../opened/changed-model.ts';
import { classReaderOf } from '../../opened/class-labels.ts';
import { type FittedTexts, fittedTexts } from '../../opened/fitted-texts.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { evidenceOf } from '../../options/evidence.ts';
import { passChoice } from '../../options/passes.ts';
import { type Run, startRun, within } from '../../options/run.ts';
import { writingOf } from '../../options/writing.ts';
import { readViews, type View } from '../../samples/views.ts';
import { VERSION } from '../../version.ts';
import { seenSamples } from '../evaluate/fitted-texts.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { takeSamples } from '../evaluate/sample-sets.ts';
import { measureHeldOut } from '../fit/measure.ts';
import { answerPairs } from '../training/compared.ts';
import { unlikePairs } from '../training/projections.ts';
import { train } from '../training/train.ts';
import { type TrainedArray, trainedArrays } from '../training/trained.ts';
import { BATCH } from '../training/training.ts';
import type { Checkpoints, TrainingJob, TrainingPlan, TrainingResult } from '../training/types.ts';
import { withArrays } from '../training/with-arrays.ts';
import { refuseFolder, writeStudent } from '../write/hugging-face-folder.ts';
import { targetOf, writePlans } from '../write/plans.ts';
import { prepare } from '../write/prepare.ts';
import { refuseSource, replacedFiles } from '../write/replaced-files.ts';
import { writeModel } from '../write/write-model.ts';
import { alignedTeacher, type OpenedSide, openSide } from './opened-pair.ts';
import {
  keepingTraining,
  readTraining,
  refuseForgotten,
  removeTraining,
  saveTraining,
  statePath,
} from './saved-training.ts';
import { absentBiases, storedPlaces, withTrained } from './stored-weights.ts';
import { type LayerChoice, taughtLayers } from './taught-layers.ts';
import type { DistillOptions, DistillResult } from './types.ts';

/** Texts of the file that are read as calibration samples; all others are learnt from as well. */
const FIRST_TEXTS = 128;

/** Most texts that are learnt from: more than a training of hours reads. */
const MOST_TEXTS = 50_000;

/** Longest text, in tokens. */
const MAX_LENGTH = 128;

/** The highest rate of learning of a student that is not fitted: several times what a fitted one bears. */
const RATE = 2e-4;

/** Steps between two saved states: minutes of most students. */
const SAVE_STEPS = 200;

/**
 * Trains a student to answer as its teacher does. Both may differ in layers, widths and family, as long as they read the
 * same tokens. Throws MbertError: USAGE for options that do not fit, MISMATCH for models that do not, UNSUPPORTED where
 * an op has no gradient. A failure leaves no output behind; an interrupted call leaves its state, see `resume`.
 */
export async function distill(options: DistillOptions): Promise<DistillResult> {
  const { output } = options;
  const target = targetOf(output, 'a folder gets a Hugging Face checkpoint');
  readViews(options.views ?? []);
  if (!options.resume) refuseForgotten(statePath(output));
  const run = startRun(options);
  if (target === undefined) refuseFolder(output);
  else for (const note of replacedFiles(writePlans(output), {})) run.note(note);
  run.progress('reading');
  const teacher = await openSide(options.teacher, options.task);
  try {
    const student = await openSide(options.student, options.task);
    try {
      return await teach(teacher, student, options, run);
    } finally {
      student.model.close();
    }
  } finally {
    teacher.model.close();
  }
}

async function teach(
  teacher: OpenedSide,
  student: OpenedSide,
  options: DistillOptions,
  run: Run,
): Promise<DistillResult> {
  const { output, views = ['full'], strategy = 'auxiliary', labels = false, seed } = options;
  const graph = alignedTeacher(teacher, student);
  const graphs = { teacher: graph, student: student.graph };
  const choice = taughtLayers(options.layerMap, graphs, options);
  const target = targetOf(output);
  const own = trainedArrays(student.graph, { withTables: true });
  const stored = target === undefined ? storedIn(student, own) : undefined;
  if (target !== undefined) refuseSource(writePlans(output));
  const fitted = fittedTexts(student.model);
  const { samples, reader, maxLength, warnings } = readTexts({ teacher, student, graph, fitted }, options, run);
  const { pad, mask } = reader.tokenizer;
  // A graph that mbert did not write may not say what its logits are.
  const reading = { task: student.model.task, logitsKind: student.model.logitsKind ?? teacher.model.logitsKind };
  refuseViews(views, { mask, kinds: answerPairs(graph, student.graph, reading) });
  const feeds = { ...reading, pad, mask };
  const plan: TrainingPlan = {
    strategy,
    steps: options.steps,
    views,
    hasLabels: labels,
    trainsTables: true,
    rate: options.rate ?? RATE,
    vectorRate: 1,
    seed: seed ?? 0,
    maxLength,
    ...(stored && stored.frozen.length > 0 && { frozen: stored.frozen }),
  };
  const job: TrainingJob = {
    ...feeds,
    ...graphs,
    layers: choice.layers,
    plan,
    texts: samples.training,
    heldOut: samples.watched,
    progress: run.progress,
  };
  const state = statePath(output);
  const checkpoints = checkpointsOf(state, job, options, run);
  const result = await train(job, checkpoints);
  refuseDiverged(result, plan.rate, state);
  const trained = withArrays(student.graph, result.arrays);
  const heldOut = async (changed: typeof trained, step: string) =>
    measureHeldOut(graph, changed, { ...feeds, samples, progress: within(run, step) });
  const finished = await keepingTraining(result, checkpoints, async () => {
    const before = await heldOut(student.graph, 'comparing the student as it was');
    const after = await heldOut(trained, 'comparing the student');
    run.progress('writing');
    const learnt = samples.learnt && result.stages.length > 0 ? [samples.learnt] : [];
    const files = stored
      ? await writeStudent(output, withTrained(stored.checkpoint, stored.places, result.arrays), [...fitted, ...learnt])
      : await writeFile(changedModel(student.model, trained, [], learnt), output, run);
    return { before, after, files };
  });
  removeTraining(state);
  return resultOf(options, {
    ...finished,
    choice,
    result,
    projections: unlikePairs(graph, student.graph, choice.layers).length,
    samples,
    warnings: [...teacher.model.warnings, ...student.model.warnings, ...warnings],
  });
}

function storedIn({ path, checkpoint, graph }: OpenedSide, arrays: readonly TrainedArray[]) {
  if (checkpoint === undefined) {
    throw new MbertError('UNSUPPORTED', `${path}: is a graph, of which no checkpoint can be written`, {
      hint: 'name a .onnx or .tflite file with -o',
    });
  }
  const frozen = absentBiases(checkpoint, arrays);
  const own = arrays.filter(({ name }) => !frozen.includes(name));
  return { checkpoint, frozen, places: storedPlaces(checkpoint, graph, own) };
}

interface TextReaders {
  readonly teacher: OpenedSide;
  readonly student: OpenedSide;
  /** The teacher's graph in the sizes of its student's inputs. */
  readonly graph: TrainingJob['teacher'];
  /** Texts that the student was fitted to or trained on before: they are learnt from, but prove nothing. */
  readonly fitted: readonly FittedTexts[];
}

function readTexts({ teacher, student, graph, fitted }: TextReaders, options: DistillOptions, run: Run) {
  const { texts, seed, labels = false } = options;
  const { model } = teacher;
  const maxLength = Math.min(MAX_LENGTH, model.maxPositions, student.model.maxPositions);
  const evidence = evidenceOf(
    { ...options, calibrate: texts, samples: Math.min(FIRST_TEXTS, options.samples ?? FIRST_TEXTS) },
    FIRST_TEXTS,
  );
  const { tokenizer } = model.tokenizer.tokenizer || model.tokenizer.vocabulary ? model : student.model;
  const reader = rowReader(model, graph, { maxLength, tokenizer, columns: evidence.columns, seed, note: run.note });
  const inTexts = seenSamples(fitted, texts, reader);
  const inData = options.data === undefined ? undefined : seenSamples(fitted, options.data, reader);
  if (inTexts.learnt.length > 0) {
    const count = inTexts.learnt.length;
    run.note(`${texts}: ${count} texts that ${student.path} was fitted to are learnt from, and not measured on`);
  }
  const samples = takeSamples(reader, {
    evidence,
    fitted: [...inTexts.learnt, ...(inData?.learnt ?? [])],
    watched: [...inTexts.watched, ...(inData?.watched ?? [])],
    task: model.task,
    classOf: classReaderOf(model, graph),
    pool: options.samples ?? MOST_TEXTS,
    hasLabels: labels,
  });
  const warnings = inTexts.others.map(
    ({ source, count }) =>
      `${student.path}: was fitted to ${count} texts of ${source}, which is another file: ` +
      `where ${texts} has them too, what is measured on them is too good`,
  );
  return { samples, reader, maxLength, warnings };
}

/** Throws USAGE for views that the answers or the vocabulary do not allow. */
function refuseViews(
  views: readonly View[],
  { mask, kinds }: { readonly mask: number | undefined; readonly kinds: ReturnType<typeof answerPairs> },
): void {
  if (views.length === 0) throw new MbertError('USAGE', '--views: names none', { hint: 'full, left, right or masked' });
  if (views.includes('masked') && mask === undefined) {
    throw new MbertError('USAGE', '--views masked: the vocabulary has no [MASK]', { hint: 'left and right need none' });
  }
  const half = views.find((view) => view === 'left' || view === 'right');
  const ofTokens = kinds.find(({ kind, teacher }) => kind === 'span' || teacher.type.shape.length > 2);
  if (half === undefined || ofTokens === undefined) return;
  throw new MbertError(
    'USAGE',
    `--views ${half}: ${ofTokens.name} answers token by token, and half of a text has others`,
    {
      hint: 'full and masked keep the tokens where they are',
    },
  );
}

/** Throws USAGE for weights that have left the numbers; the state that leads there is removed. */
function refuseDiverged({ arrays }: TrainingResult, rate: number, state: string): void {
  if ([...arrays.values()].every(({ values }) => values.every(Number.isFinite))) return;
  removeTraining(state);
  throw new MbertError('USAGE', `--rate ${rate}: training ended in weights that are no numbers`, {
    hint: 'take a lower --rate',
  });
}

function checkpointsOf(path: string, job: TrainingJob, options: DistillOptions, run: Run): Checkpoints {
  const key = jobKey(job);
  const { checkpointEvery: every = SAVE_STEPS } = options;
  return {
    state: options.resume ? readTraining(path, key) : undefined,
    every: every === 0 ? Number.POSITIVE_INFINITY : every,
    save(state) {
      if (every > 0) saveTraining(path, key, state);
    },
    ended(steps) {
      if (every > 0) run.note(`${path}: holds the training after ${steps} steps; say the same with --resume to go on`);
    },
  };
}

/** Tells trainings apart by all that their result depends on. */
function jobKey({ teacher, student, progress: _, ...job }: TrainingJob): string {
  const graphs = [teacher, student].map(graphText);
  return createHash('sha256')
    .update(JSON.stringify({ VERSION, graphs, ...job }))
    .digest('hex');
}

async function writeFile(changed: OpenedModel, output: string, run: Run) {
  const [plan] = writePlans(output);
  if (plan === undefined) throw new MbertError('USAGE', `-o ${output}: names no file`);
  const writing = writingOf({}, output, plan.target);
  const prepared = await prepare(changed, plan.target, { shape: {}, passes: passChoice({}), writing, run });
  const { files } = await writeModel(changed, prepared, { plan, writing, properties: {}, run });
  return files;
}

function resultOf(
  { student, teacher, strategy = 'auxiliary', views = ['full'] }: DistillOptions,
  {
    files,
    choice,
    result,
    projections,
    samples,
    before,
    after,
    warnings,
  }: {
    readonly files: DistillResult['files'];
    readonly choice: LayerChoice;
    readonly result: TrainingResult;
    readonly projections: number;
    readonly samples: ReturnType<typeof takeSamples>;
    readonly before: DistillResult['before'];
    readonly after: DistillResult['after'];
    readonly warnings: readonly string[];
  },
): DistillResult {
  const { curve, stages } = result;
  const isWorse = result.after && curve[0] && result.after.sqnrDb < curve[0].sqnrDb;
  return {
    student,
    teacher,
    files,
    strategy,
    views,
    layers: choice.pairs,
    projections,
    stages,
    steps: stages.reduce((sum, { steps }) => sum + steps, 0),
    batch: BATCH,
    texts: samples.training.length,
    labelled: samples.training.filter(({ label }) => label !== undefined).length,
    watched: { samples: result.heldOut, curve },
    before,
    after,
    source: samples.manifest,
    warnings: [
      ...warnings,
      ...samples.warnings,
      ...(choice.warning === undefined ? [] : [choice.warning]),
      ...(isWorse ? ['the student is farther from its teacher than before: take more steps, or a lower --rate'] : []),
    ],
  };
}
