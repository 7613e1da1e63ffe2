import { MbertError } from '../../errors.ts';
import type { Output } from '../../ir/graph.ts';
import { shapeText } from '../../ir/shape.ts';
import { lintFile } from '../../lint/lint-file.ts';
import type { Task } from '../../models/index.ts';
import { type Run, type RunOptions, startRun, within } from '../../options/run.ts';
import { readLayerMap } from '../evaluate/layer-map.ts';
import { type CommonShape, commonShape, paddedLength } from '../evaluate/running.ts';
import type { TransferLosses } from '../evaluate/transfer.ts';
import { type Inputs, readInputs } from './inputs.ts';
import { compareLayers, type LayersOptions } from './layers.ts';
import { compareOutputs, type OutputsResult } from './outputs.ts';
import { describeSide, openSide, type RunningSide, type Side, startSide } from './sides.ts';
import type { Drop, VerifiedModel, VerifyResult } from './types.ts';

export interface VerifyOptions extends RunOptions {
  /** A source of any format. */
  readonly model: string;
  /** The reference: a source of any format. Without it the model is evaluated alone, on labelled `data`. */
  readonly against?: string | undefined;
  /** Samples in any format of calibration, with labels or without. Default: token sequences made from `seed`. */
  readonly data?: string | undefined;
  /** How many of them, from the first one. Default: all of a file, 64 made ones. */
  readonly samples?: number | undefined;
  /** Shuffles the samples of a file; of made ones, which. Default 1. */
  readonly seed?: number | undefined;
  /** vocab.txt in place of the models' own. */
  readonly vocab?: string | undefined;
  /** Of checkpoints; of a graph, what its outputs mean. */
  readonly task?: Task | undefined;
  /** What sequences are padded to. Default: the length that one of the models is fixed to; otherwise nothing is padded. */
  readonly sequenceLength?: number | undefined;
  /** The model as student of `against`: `N:M` or the path of a JSON map, see `readLayerMap`. */
  readonly layers?: string | undefined;
  /** Percentage points of the task metric, without labels of agreement, that may be lost. */
  readonly maxDrop?: number | undefined;
  /** Ask the lint rules of the file. */
  readonly lint?: boolean | undefined;
}

/** Fewer samples than this say nothing of a point. */
const LEAST_GATED = 32;

/** Compares a model with a reference, or evaluates it. Throws MbertError for what cannot be opened or compared. */
export async function verify(options: VerifyOptions): Promise<VerifyResult> {
  refuseContradictions(options);
  const run = startRun(options);
  const lint = options.lint ? lintFile(options.model) : null;
  const broken = lint && !lint.ok ? ['lint: the file breaks a rule'] : [];
  const measured = hasMeasurement(options) ? await openAndMeasure(options, run) : NOT_MEASURED;
  return {
    ...measured,
    model: measured.model ?? { path: options.model, architecture: null, runtime: null, ran: null },
    lint,
    failures: [...broken, ...measured.failures],
  };
}

/** Rules alone are asked of the file's bytes: it need not even be a model that mbert can read. */
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
  metrics: null,
  layers: null,
  transfer: null,
  drop: null,
  failures: [],
  warnings: [],
};

async function openAndMeasure(options: VerifyOptions, run: Run): Promise<Measurement> {
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
  const { against, layers, maxDrop } = options;
  const needsReference = [
    ['layers', layers],
    ['max-drop', maxDrop],
  ] as const;
  for (const [flag, given] of needsReference) {
    if (given === undefined || against !== undefined) continue;
    throw new MbertError('USAGE', `--${flag}: needs --against SOURCE`, { hint: 'the model is compared with it' });
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
  const running: RunningSide[] = [];
  try {
    for (const side of reference ? [model, reference] : [model]) running.push(await startSide(side));
    const [first, second] = running as [RunningSide, RunningSide?];
    const shape = commonShape(running, options.sequenceLength);
    const sides = reference ? [reference, model] : [model];
    const task = taskOf(sides, options.task);
    const { data, samples, seed, vocab, maxDrop } = options;
    const length = paddedLength(shape);
    const inputs = readInputs(sides, { data, samples, seed, vocab, length, task });
    checkCounts(inputs, maxDrop);
    if (reference === undefined && inputs.labels === undefined) {
      throw new MbertError('USAGE', `${data}: has no labels for ${task ?? 'outputs of this kind'}`, {
        hint: 'give --against SOURCE to compare with another model',
      });
    }
    // First, as a map that does not fit is told at once.
    const transfer = reference
      ? await transferOf(model, reference, { shape, inputs, task, map: options.layers, run })
      : null;
    const folded = transfer ? foldedStudent(model, reference as Side) : [];
    const found = await compareOutputs(first, second, { task, shape, inputs, progress: within(run, 'running') });
    const { layers, problem } = reference
      ? await tryLayers(reference, model, { shape, inputs, progress: within(run, 'comparing layers') })
      : { layers: null, problem: [] };
    const drop = second ? dropOf(found, maxDrop) : null;
    return {
      model: describeSide(first),
      against: second ? describeSide(second) : null,
      task: task ?? null,
      inputs: { data: inputs.data, samples: inputs.rows.length, seed: inputs.seed, paddedTo: length ?? null },
      outputs: found.outputs,
      agreement: found.agreement,
      metrics: found.metrics,
      layers,
      transfer,
      drop,
      failures: failuresOf(found, drop),
      warnings: [
        ...new Set([
          ...sides.flatMap((side) => side.model.warnings),
          ...inputs.warnings,
          ...standIns(running),
          ...problem,
          ...folded,
        ]),
      ],
    };
  } finally {
    for (const { session } of running) await session.close();
  }
}

/** What the user says, what a source says, or what the shape of the first output leaves no doubt about. */
function taskOf(sides: readonly Side[], given: Task | undefined): Task | undefined {
  const said = given ?? sides.map(({ model }) => model.task).find((task) => task !== undefined);
  const outputs = sides[0]?.graph.outputs ?? [];
  if (said !== undefined && fitsTask(said, outputs)) return said;
  if (given !== undefined) {
    const shapes = outputs.map(({ name, node }) => `${name} ${shapeText(node.type.shape)}`).join(', ');
    throw new MbertError('USAGE', `--task ${given}: the outputs are ${shapes}`);
  }
  const [output, ...others] = outputs;
  return output?.node.type.shape.length === 2 && others.length === 0 ? 'sequence-classification' : undefined;
}

/** How many axes the outputs of a task have, and names that tell them apart. */
const OUTPUTS: { readonly [T in Task]: { readonly axes: number; readonly names?: readonly string[] } } = {
  qa: { axes: 2, names: ['start_logits', 'end_logits'] },
  'sequence-classification': { axes: 2 },
  'token-classification': { axes: 3 },
  'masked-lm': { axes: 3 },
  'next-sentence': { axes: 2 },
  'multiple-choice': { axes: 2 },
  pretraining: { axes: 3, names: ['prediction_logits'] },
  'replaced-tokens': { axes: 2 },
  features: { axes: 3 },
};

function fitsTask(task: Task, outputs: readonly Output[]): boolean {
  const { axes, names = [] } = OUTPUTS[task];
  const first = outputs.find(({ name }) => name === names[0]) ?? outputs[0];
  return (
    first?.node.type.shape.length === axes && names.every((name) => outputs.some((output) => output.name === name))
  );
}

function checkCounts({ rows, data }: Inputs, maxDrop: number | undefined): void {
  if (maxDrop === undefined || rows.length >= LEAST_GATED) return;
  throw new MbertError(
    'USAGE',
    `--max-drop: ${data ?? '--samples'}: ${rows.length} samples, ${LEAST_GATED} are the least`,
    {
      hint: 'one answer of so few is more than points can tell',
    },
  );
}

/** Inner values come from the graphs that were read: what cannot be written as ONNX has answers only. */
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
  /** `--layers`; undefined: no losses are asked for. */
  readonly map: string | undefined;
  readonly run: Run;
}

async function transferOf(
  model: Side,
  reference: Side,
  { shape, inputs, task, map: how, run }: TransferRequest,
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
    length: paddedLength(shape),
    names: { student: model.path, teacher: reference.path },
    progress: within(run, 'knowledge transfer'),
  });
}

/** A stream whose norms were folded away has its channels in units of its own. */
function foldedStudent(student: Side, teacher: Side): string[] {
  const hasNorms = ({ graph }: Side) => graph.nodes().some(({ op }) => op === 'layerNorm' || op === 'noNorm');
  if (hasNorms(student) || !hasNorms(teacher)) return [];
  return [`${student.path}: its norms are folded, so its feature maps are in other units than the teacher's`];
}

function dropOf({ metrics, agreement }: OutputsResult, limit: number | undefined): Drop {
  const of = metrics?.primary;
  const [from, to] = of ? [metrics?.against?.[of], metrics?.model[of]] : [1, agreement ?? 0];
  return { points: 100 * ((from ?? 0) - (to ?? 0)), of: of ?? 'agreement', limit: limit ?? null };
}

/** A hundredth of 100 samples is not exactly a point. */
const ROUNDING = 1e-9;

function failuresOf({ broken }: OutputsResult, drop: Drop | null): string[] {
  const failures = broken.map((name) => `output ${name}: holds NaN or infinity`);
  // Not `>`: a drop that is NaN is no answer, so it is no.
  if (drop && drop.limit !== null && !(drop.points <= drop.limit + ROUNDING)) {
    failures.push(`--max-drop: ${drop.points.toFixed(2)} points of ${drop.of} are lost, ${drop.limit} may be`);
  }
  return failures;
}

/** A file that did not run itself is not what was verified. */
function standIns(running: readonly RunningSide[]): string[] {
  return running.flatMap(({ refusal, runtime }) =>
    refusal === undefined ? [] : [`${refusal}; the graph in it ran in ${runtime}`],
  );
}
