import { MbertError } from '../../errors.ts';
import type { Checkpoint } from '../../formats/checkpoint.ts';
import { openSource } from '../../importers/index.ts';
import type { Graph } from '../../ir/graph.ts';
import { sizeOf } from '../../ir/shape.ts';
import type { Task } from '../../models/index.ts';
import { fromCheckpoint } from '../../opened/checkpoint-model.ts';
import { classReaderOf } from '../../opened/class-labels.ts';
import { fittedTexts } from '../../opened/fitted-texts.ts';
import type { OpenedModel } from '../../opened/opened-model.ts';
import { type EvidenceOptions, evidenceOf } from '../../options/evidence.ts';
import { type RunOptions, startRun, within } from '../../options/run.ts';
import type { SampleManifest } from '../../samples/open-samples.ts';
import { layersOf } from '../evaluate/layer-map.ts';
import { rowReader } from '../evaluate/row-reader.ts';
import { NO_SAMPLES, type SampleSets, takeSamples } from '../evaluate/sample-sets.ts';
import { compareOperations, measureHeldOut } from '../fit/measure.ts';
import type { HeldOut, Operations } from '../fit/types.ts';
import { refuseFolder, writeStudent } from '../write/hugging-face-folder.ts';
import { refuseFile } from '../write/plans.ts';
import { selectChannels } from './cut-checkpoint.ts';
import { type Importance, isMeasured, type Method, measuredImportance, randomImportance } from './importance.ts';
import { initialized } from './initialize.ts';
import { makeBert, makeMobileBert, withRuns } from './make-student.ts';
import type { MobileBertSizes } from './mobilebert/shape.ts';
import { readShape, settingWarnings } from './shape.ts';
import type { StudentShape, TeacherShape } from './sizes.ts';

/** Options of `extract`. */
export interface ExtractOptions extends RunOptions, Omit<EvidenceOptions, 'maxDrop'> {
  /** A Hugging Face checkpoint of a BERT. */
  readonly source: string;
  /** A folder that gets the student. */
  readonly output: string;
  /** A preset's name, or a JSON file with the sizes that a config.json has. */
  readonly shape: string;
  readonly task?: Task | undefined;
  /** Default `importance`. */
  readonly method?: Method | undefined;
  /** Layers of the teacher that the student has: `uniform`, `first`, `last` or a JSON file. Default `uniform`. */
  readonly layers?: string | undefined;
  /** Fits the student's linears to the teacher's values. Default false. */
  readonly recover?: boolean | undefined;
}

/** A student, and what it is worth beside its teacher. */
export interface ExtractResult {
  readonly source: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  readonly shape: StudentShape & {
    readonly heads: number;
    /** What a MobileBERT has besides; absent for a BERT. */
    readonly mobilebert?: MobileBertSizes;
  };
  readonly teacher: TeacherShape;
  /** The teacher's layer behind each of the student's; empty for a student from scratch. */
  readonly layers: readonly number[];
  readonly method: Method;
  /** Number of weights and biases that were fitted; 0 without `recover`. */
  readonly refitted: number;
  readonly parameters: { readonly teacher: number; readonly student: number };
  readonly operations: Operations;
  readonly calibration: SampleManifest | undefined;
  /** The student beside its teacher on texts that it was not fitted to; undefined where there are none. */
  readonly heldOut: HeldOut | undefined;
  readonly warnings: readonly string[];
}

/** Texts that linears are fitted to: as many as for the passes that are fitted. */
const DEFAULT_SAMPLES = 768;
/** Texts that channels are ranked by. */
const RANKING_SAMPLES = 128;
/** Longest text, in tokens, that is ranked and fitted by. */
const MAX_LENGTH = 128;

/**
 * Cuts a smaller BERT out of a larger one: layers, hidden channels, heads and neurons, and writes it as a Hugging Face
 * folder. Throws MbertError: USAGE for options that do not fit, UNSUPPORTED for a teacher of another family, MISMATCH for
 * a shape that is no part of the teacher. A failure leaves no file behind.
 */
export async function extract(options: ExtractOptions): Promise<ExtractResult> {
  const { source, output, method = 'importance', calibrate } = options;
  if (method === 'scratch' && options.recover) {
    throw new MbertError('USAGE', '--recover: fits weights to the teacher, and --method scratch takes none of it', {
      hint: 'leave --recover out, or say --method random to fit random channels of the teacher',
    });
  }
  if (calibrate === undefined && (isMeasured(method) || options.recover)) {
    const flag = options.recover ? '--recover' : `--method ${method}`;
    throw new MbertError('USAGE', `${flag}: needs --calibrate FILE`, {
      hint: 'some hundred lines of text as the model will see it, without labels; --method random needs none',
    });
  }
  refuseFile(output, 'extract writes');
  refuseFolder(output);
  const run = startRun(options);
  run.progress('reading');
  const checkpoint = await openTeacher(source);
  try {
    const model = fromCheckpoint(checkpoint, { task: options.task });
    const teacher = teacherShape(checkpoint);
    const shape = readShape(options.shape, teacher);
    if (shape.mobilebert && method === 'scratch') {
      throw new MbertError('USAGE', `--method scratch: makes a BERT, and --shape ${options.shape} is a MobileBERT`, {
        hint: 'say --method random',
      });
    }
    if (shape.mobilebert && calibrate === undefined) {
      throw new MbertError('USAGE', `--shape ${options.shape}: needs --calibrate FILE`, {
        hint: 'the linears of a MobileBERT are fitted to text, whatever --method says',
      });
    }
    const layers = layersOf(options.layers ?? 'uniform', shape.layers, teacher.layers);
    const graph = model.reference();
    const evidence = evidenceOf(options, DEFAULT_SAMPLES);
    const reader = rowReader(model, graph, {
      maxLength: Math.min(MAX_LENGTH, model.maxPositions),
      seed: options.seed,
      columns: evidence.columns,
      note: run.note,
    });
    const samples =
      calibrate === undefined && options.data === undefined
        ? NO_SAMPLES
        : takeSamples(reader, { evidence, task: model.task, classOf: classReaderOf(model, graph) });
    const { pad } = reader.tokenizer;
    run.progress('ranking channels');
    const importance = await rank(graph, teacher, { method, seed: options.seed ?? 0, samples, pad });
    const { mobilebert } = shape;
    const heads = mobilebert?.heads ?? (shape.hidden * teacher.heads) / teacher.hidden;
    const neurons = shape.intermediate * (mobilebert?.feedForwards ?? 1);
    const selection = selectChannels(importance, layers, teacher, { ...shape, heads, intermediate: neurons });
    const make = mobilebert ? makeMobileBert(mobilebert) : makeBert;
    const made = await make(
      { checkpoint, model, graph, teacher },
      { selection, shape: { ...shape, heads }, recover: options.recover === true, samples, pad, run },
    );
    const student = method === 'scratch' ? initialized(made.student, options.seed ?? 0) : made.student;
    const written = fromCheckpoint(student, { task: model.task });
    const progress = within(run, 'comparing with the teacher');
    const heldOut = await measureHeldOut(graph, written.reference(), {
      samples,
      task: model.task,
      logitsKind: model.logitsKind,
      pad,
      mask: reader.tokenizer.mask,
      progress,
    });
    const { maxPositions } = model;
    const operations = await compareOperations(graph, written.reference(), { target: 'onnx', maxPositions });
    run.progress('writing');
    // Channels are ranked by the first texts alone.
    const count = options.recover || mobilebert ? samples.calibration.length : isMeasured(method) ? RANKING_SAMPLES : 0;
    const fitted = samples.manifest && { ...samples.manifest, count: Math.min(count, samples.calibration.length) };
    const before = fittedTexts(model);
    const files = await writeStudent(output, student, [...before, ...(fitted && fitted.count > 0 ? [fitted] : [])]);
    return {
      source,
      files,
      shape: { ...shape, heads },
      teacher,
      layers: method === 'scratch' ? [] : layers,
      method,
      refitted: made.refitted,
      parameters: { teacher: countParameters(checkpoint, model), student: countParameters(student, model) },
      operations,
      calibration: samples.manifest,
      heldOut,
      warnings: [...settingWarnings(options.shape, checkpoint.config), ...model.warnings, ...samples.warnings],
    };
  } finally {
    checkpoint.close();
  }
}

/** Opens a teacher. Throws UNSUPPORTED for anything but a BERT that transformers' PyTorch code saved. */
async function openTeacher(path: string): Promise<Checkpoint> {
  const source = await openSource(path);
  const refuse = (problem: string, close: () => void): never => {
    close();
    throw new MbertError('UNSUPPORTED', `${path}: ${problem}`, {
      hint: 'extraction takes checkpoints of model_type bert; --passes prune cuts heads and neurons of any model',
    });
  };
  if (source.yields === 'graph') return refuse('is a graph, not a checkpoint', () => source.close());
  const { checkpoint } = source;
  const close = () => checkpoint.close();
  const type = checkpoint.config.get('model_type');
  if (type !== 'bert') return refuse(`model_type is ${String(type)}`, close);
  if (checkpoint.origin !== 'torch') return refuse('its weights are not named as PyTorch names them', close);
  if (checkpoint.moduleChain !== undefined)
    return refuse('is a sentence-transformers folder, whose pooling a student would lose', close);
  return checkpoint;
}

/** Reads the sizes; what the config leaves out is the default of transformers' BertConfig. */
function teacherShape({ config }: Checkpoint): TeacherShape {
  const size = (key: string, fallback: number) => (config.get(key) ?? fallback) as number;
  return {
    layers: size('num_hidden_layers', 12),
    hidden: size('hidden_size', 768),
    intermediate: size('intermediate_size', 3072),
    heads: size('num_attention_heads', 12),
  };
}

interface RankOptions {
  readonly method: Method;
  readonly seed: number;
  readonly samples: SampleSets;
  readonly pad: number;
}

function rank(graph: Graph, teacher: TeacherShape, { method, seed, samples, pad }: RankOptions): Promise<Importance> {
  if (!isMeasured(method)) return Promise.resolve(randomImportance(teacher, seed));
  const rows = samples.calibration.slice(0, RANKING_SAMPLES);
  return withRuns(graph, rows, pad, (runs) => measuredImportance(graph, method, teacher, runs));
}

function countParameters({ tensors }: Checkpoint, { unused }: OpenedModel): number {
  let count = 0;
  for (const [name, { shape }] of tensors) if (!unused.includes(name)) count += sizeOf(shape);
  return count;
}
