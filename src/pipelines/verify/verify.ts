import { MbertError } from '../../errors.ts';
import { lintFile } from '../../lint/lint-file.ts';
import type { LogitsKind, Task } from '../../models/index.ts';
import { storedOutline } from '../../opened/stored-outline.ts';
import { type ColumnOptions, columnsOf, refuseUnreadVocabulary } from '../../options/evidence.ts';
import { type Run, type RunOptions, startRun, within } from '../../options/run.ts';
import { readViews, VIEWS } from '../../samples/views.ts';
import { AGREEMENT_NAMES, untoldReason } from '../evaluate/agreement.ts';
import { isAllowed } from '../evaluate/drop.ts';
import { type LayerPair, readLayerMap } from '../evaluate/layer-map.ts';
import { type CommonShape, commonShape, inputShape, paddedLength } from '../evaluate/running.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';
import { type Inputs, readInputs } from './inputs.ts';
import { compareLayers, type LayersOptions } from './layers.ts';
import { compareOutputs, type OutputsResult, pairOutputs } from './outputs.ts';
import { roundingWarnings } from './roundings.ts';
import { loaderOf, openSide, type Side, type SideLoader } from './sides.ts';
import { taskOf, unansweredWarnings } from './task.ts';
import type { Drop, VerifiedModel, VerifyResult } from './types.ts';
import { checkViews, compareViews, ViewSums } from './views.ts';

/** Options of `verify`. */
export interface VerifyOptions extends RunOptions, ColumnOptions {
  /** A source of any format. */
  readonly model: string;
  /** The reference: a source of any format. Without it the model is evaluated alone, on labelled `data`. */
  readonly against?: string | undefined;
  /** Samples in any format of calibration, with labels or without. Default: token sequences generated from `seed`. */
  readonly data?: string | undefined;
  /** Number of samples, counted from the first. Default: all of a file, 64 generated ones. */
  readonly samples?: number | undefined;
  /**
   * Seed that shuffles the samples of a file, or from which sequences are generated. Default: files in order, 1 for
   * generated ones.
   */
  readonly seed?: number | undefined;
  /** Path of a vocab.txt or tokenizer.json in place of the models' own. */
  readonly vocab?: string | undefined;
  /** Head to build from checkpoints; for a graph, what its outputs mean. */
  readonly task?: Task | undefined;
  /**
   * Length that sequences are padded to, in tokens. Default: the length that one of the models is fixed to; otherwise
   * nothing is padded.
   */
  readonly sequenceLength?: number | undefined;
  /**
   * Layers to measure as knowledge transfer, the model being the student of `against`: `N:M` or the path of a JSON map,
   * see `readLayerMap`.
   */
  readonly layers?: string | undefined;
  /** Parts of each text to tell the agreement on, both models seeing the same: names of VIEWS. Needs `against` and `data`. */
  readonly views?: readonly string[] | undefined;
  /** Largest loss allowed, in percentage points of the task metric, or of agreement without labels. */
  readonly maxDrop?: number | undefined;
  /** Runs the lint rules on the file. Default false. */
  readonly lint?: boolean | undefined;
  /** Adds the model's graph as plain data with how the values of its weights are distributed, for a picture. */
  readonly outline?: boolean | undefined;
}

/** Fewest samples for `maxDrop`: fewer say nothing about a point. */
const MIN_GATED = 32;

/**
 * Compares a model with a reference, or evaluates it on labelled data. Throws MbertError: USAGE for options that do not
 * fit, MISMATCH for models that cannot be compared, and what the importers throw.
 */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  refuseContradictions(options);
  refuseUnreadVocabulary(options.vocab, options.data);
  const run = startRun(options);
  const lint = options.lint ? lintFile(options.model) : null;
  const broken = lint && !lint.ok ? ['lint: the file breaks a rule'] : [];
  const measurement = hasMeasurement(options) ? await openAndMeasure(options, run) : NOT_MEASURED;
  return {
    ...measurement,
    model: measurement.model ?? { path: options.model, architecture: null, runtime: null, ran: null, runMs: null },
    lint,
    failures: [...broken, ...measurement.failures],
  };
}

/**
 * True where models are run. Without that, lint rules read the file's bytes only: it need not even be a model that
 * mbert can read.
 */
function hasMeasurement({ against, data }: VerifyOptions): boolean {
  return against !== undefined || data !== undefined;
}

type Measurement = Omit<VerifyResult, 'lint' | 'model'> & { readonly model: VerifiedModel | null };

const NOT_MEASURED: Measurement = {
  model: null,
  against: null,
  task: null,
  inputs: null,
  outputs: [],
  agreement: null,
  agreementOf: null,
  flips: null,
  views: null,
  metrics: null,
  layers: null,
  transfer: null,
  drop: null,
  failures: [],
  warnings: [],
};

async function openAndMeasure(options: VerifyOptions, run: Run): Promise<Measurement> {
  const { against, layers, views } = options;
  run.plan([
    'read',
    ...(layers === undefined ? [] : ['transfer']),
    ...(against === undefined ? [] : ['layers']),
    'run',
    ...(views === undefined ? [] : ['views']),
  ]);
  run.progress('reading');
  const model = await openSide(options.model, options.task);
  try {
    if (options.against === undefined) return await measure(model, undefined, options, run);
    const reference = await openSide(options.against, options.task);
    try {
      return await measure(model, reference, options, run);
    } finally {
      reference.model.close();
    }
  } finally {
    model.model.close();
  }
}

function refuseContradictions(options: VerifyOptions): void {
  const { against, data, layers, views, maxDrop } = options;
  const needsReference = [
    ['layers', layers],
    ['views', views],
    ['max-drop', maxDrop],
  ] as const;
  for (const [flag, given] of needsReference) {
    if (given === undefined || against !== undefined) continue;
    throw new MbertError('USAGE', `--${flag}: needs --against SOURCE`, { hint: 'the model is compared with it' });
  }
  if (views !== undefined) {
    readViews(views);
    if (data === undefined) {
      throw new MbertError('USAGE', '--views: needs --data FILE', { hint: 'half of a random sequence shows nothing' });
    }
  }
  if (!hasMeasurement(options) && !options.lint) {
    throw new MbertError('USAGE', 'verify: nothing to verify the model by', {
      hint: 'give --against SOURCE, --data FILE with labels, or --lint',
    });
  }
}

async function measure(
  model: Side,
  reference: Side | undefined,
  options: VerifyOptions,
  run: Run,
): Promise<Measurement> {
  const shape = commonShape(
    [model, ...(reference ? [reference] : [])].map(({ path, graph }) => inputShape(path, graph)),
    options.sequenceLength,
  );
  if (reference) refuseOtherHeads(model, reference);
  const [first, second] = [loaderOf(model), reference && loaderOf(reference)];
  try {
    const sides = reference ? [reference, model] : [model];
    const task = taskOf(sides, options.task);
    // A graph that mbert did not write may not say what its logits are.
    const logitsKind = sides.find(({ model: { logitsKind } }) => logitsKind !== undefined)?.model.logitsKind;
    const { data, samples, seed, vocab, maxDrop } = options;
    const length = paddedLength(shape);
    const inputs = readInputs(sides, {
      data,
      samples,
      seed,
      vocab,
      length,
      task,
      columns: columnsOf(options, data !== undefined),
      note: run.note,
    });
    checkCounts(inputs, maxDrop);
    const asked = readViews(options.views ?? []);
    const views = VIEWS.filter((view) => asked.includes(view));
    checkViews(views, inputs);
    if (reference === undefined && inputs.labels === undefined) {
      const problem = inputs.unread ?? `${data}: has no labels for ${task ?? 'outputs of this kind'}`;
      throw new MbertError('USAGE', problem, {
        hint: 'give --against SOURCE to compare with another model',
      });
    }
    // Measured first, so that a map that does not fit is told at once.
    run.enter('transfer');
    const transfer = reference
      ? await transferOf(model, reference, { shape, inputs, task, logitsKind, map: options.layers, run })
      : null;
    const folded = transfer ? foldedStudent(model, reference as Side) : [];
    // Before the models themselves: what runs here is mapped from files, which leaves no memory behind.
    run.enter('layers');
    const moved = transfer?.layers.find(({ student, teacher }) => student !== teacher);
    const { layers, problem } =
      reference && moved === undefined
        ? await tryLayers(reference, model, { shape, inputs, progress: within(run, 'comparing layers') })
        : { layers: null, problem: moved ? [movedLayers(options.layers, moved)] : [] };
    run.enter('run');
    const graphs = { model: model.graph, reference: reference?.graph };
    const full = views.includes('full') ? new ViewSums('full', { task, logitsKind }, inputs) : undefined;
    const compared = await compareOutputs(first, second, {
      task,
      logitsKind,
      graphs,
      shape,
      inputs,
      heard: (i, expected, actual) => full?.add(i, expected, actual),
      progress: within(run, 'running'),
    });
    run.enter('views');
    const seen = second
      ? await compareViews(first, second, full, {
          task,
          logitsKind,
          graphs,
          shape,
          inputs,
          views,
          progress: within(run, 'running views'),
        })
      : null;
    const drop = second ? dropOf(compared, maxDrop) : null;
    return {
      model: verifiedModel(first, compared.runMs.model),
      against: second ? verifiedModel(second, compared.runMs.reference) : null,
      task: task ?? null,
      inputs: { data: inputs.data, samples: inputs.rows.length, seed: inputs.seed, paddedTo: length ?? null },
      outputs: compared.outputs,
      agreement: compared.agreement,
      agreementOf: compared.agreementOf,
      ...(compared.embeddings && { embeddings: compared.embeddings }),
      flips: compared.flips,
      views: seen,
      metrics: compared.metrics,
      layers,
      transfer,
      drop,
      failures: failuresOf(compared, drop),
      ...(options.outline && { outline: await storedOutline(model.path, model.graph, { values: true }) }),
      warnings: [
        ...new Set([
          ...sides.flatMap((side) => side.model.warnings),
          ...inputs.warnings,
          ...standInWarnings([first, ...(second ? [second] : [])]),
          ...unansweredWarnings(sides, task),
          ...roundingWarnings(sides),
          ...problem,
          ...folded,
        ]),
      ],
    };
  } finally {
    first.remove();
    second?.remove();
  }
}

/** Throws MISMATCH for outputs that cannot be paired, before anything is run. */
function refuseOtherHeads(model: Side, reference: Side): void {
  const [from, to] = [reference, model].map(({ graph }) => graph.outputs.map(({ name }) => name));
  pairOutputs(from as string[], to as string[]);
}

function checkCounts({ rows, data }: Inputs, maxDrop: number | undefined): void {
  if (maxDrop === undefined || rows.length >= MIN_GATED) return;
  throw new MbertError(
    'USAGE',
    `--max-drop: ${data ?? '--samples'}: ${rows.length} samples, ${MIN_GATED} are the least`,
    {
      hint: 'one answer of so few is more than points can tell',
    },
  );
}

/**
 * Compares inner values. They come from the graphs that were read: where these cannot be written as ONNX, the problem
 * becomes a warning.
 */
async function tryLayers(reference: Side, model: Side, options: LayersOptions) {
  try {
    return { layers: await compareLayers(reference, model, options), problem: [] };
  } catch (cause) {
    if (!(cause instanceof MbertError)) throw cause;
    return { layers: null, problem: [`inner values are not compared: ${cause.message}`] };
  }
}

interface TransferRequest {
  readonly shape: CommonShape;
  readonly inputs: Inputs;
  readonly task: Task | undefined;
  readonly logitsKind: LogitsKind | undefined;
  /** The map of layers (`--layers`); undefined where no losses are asked for. */
  readonly map: string | undefined;
  readonly run: Run;
}

async function transferOf(
  model: Side,
  reference: Side,
  { shape, inputs, task, logitsKind, map: how, run }: TransferRequest,
): Promise<TransferLosses | null> {
  if (how === undefined) return null;
  const { encoderLayers } = await import('../evaluate/encoder-layers.ts');
  const { transferLosses } = await import('../evaluate/transfer.ts');
  const students = encoderLayers(model.graph, model.path).length;
  const teachers = encoderLayers(reference.graph, reference.path).length;
  const map = readLayerMap(how, students, teachers);
  return transferLosses(reference.graph, model.graph, inputs.rows, map, {
    pad: inputs.pad,
    task,
    logitsKind,
    length: paddedLength(shape),
    names: { student: model.path, teacher: reference.path },
    progress: within(run, 'knowledge transfer'),
  });
}

/**
 * Says why inner values are not compared beside a map: they are paired by their names, and layers of one name are not
 * those that belong together.
 */
function movedLayers(how: string | undefined, { student, teacher }: LayerPair): string {
  return (
    `inner values are not compared: they are paired by the numbers of their layers, and --layers ${how} pairs layer ` +
    `${student} with layer ${teacher}: the transfer losses are by that map`
  );
}

/** Warns where only the student's norms were folded away: its residual stream then has channels in units of its own. */
function foldedStudent(student: Side, teacher: Side): string[] {
  const hasNorms = ({ graph }: Side) => graph.nodes().some(({ op }) => op === 'layerNorm' || op === 'noNorm');
  if (hasNorms(student) || !hasNorms(teacher)) return [];
  return [`${student.path}: its norms are folded, so its feature maps are in other units than the teacher's`];
}

function dropOf({ metrics, agreement, agreementOf, embeddings }: OutputsResult, limit: number | undefined): Drop {
  const of = metrics?.primary;
  const similarities = embeddings?.similarities ?? null;
  const measured = similarities ?? agreement ?? 0;
  const [from, to] = of ? [metrics?.against?.[of], metrics?.model[of]] : [1, measured];
  const ofAnswers = agreementOf === null || agreementOf === 'choices' ? 'agreement' : agreementOf;
  const unlabelled = similarities === null ? ofAnswers : 'similarities';
  return { points: 100 * ((from ?? 0) - (to ?? 0)), of: of ?? unlabelled, limit: limit ?? null };
}

function failuresOf({ broken, agreement, agreementOf }: OutputsResult, drop: Drop | null): string[] {
  const failures = broken.map((name) => `output ${name}: holds NaN or infinity`);
  if (drop === null || drop.limit === null || isAllowed(drop.points, drop.limit)) return failures;
  const sqnrDb = broken.length > 0 ? Number.NaN : null;
  const isOfAnswers = drop.of === 'agreement' || drop.of === 'cosine' || drop.of === 'correlation';
  const reason = isOfAnswers && agreementOf && untoldReason({ agreement, agreementOf, sqnrDb });
  const name = drop.of === 'cosine' || drop.of === 'correlation' ? AGREEMENT_NAMES[drop.of] : drop.of;
  const lost = `${drop.points.toFixed(2)} points of ${name} are lost, ${drop.limit} may be`;
  return [...failures, `--max-drop: ${reason ? `the loss of ${name} ${reason}` : lost}`];
}

function verifiedModel(loader: SideLoader, runMs: number): VerifiedModel {
  const { refusal: _, ...described } = loader.described();
  return { ...described, runMs };
}

/** Warns of files that did not run themselves: what was verified is then not the file. */
function standInWarnings(loaders: readonly SideLoader[]): string[] {
  return loaders.flatMap((loader) => {
    const { refusal, runtime } = loader.described();
    return refusal === undefined ? [] : [`${refusal}; the graph in it ran in ${runtime}`];
  });
}
