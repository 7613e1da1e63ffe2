import type { Checkpoint } from '../checkpoint.ts';
import { MbertError } from '../errors.ts';
import type { Graph } from '../graph.ts';
import { openSource } from '../importers/index.ts';
import { buildModel, describeModel, type Task } from '../models/index.ts';
import type { Target } from '../passes/index.ts';

/** How a source becomes a graph: what the user may fix of its shapes. */
export interface ShapeOptions {
  readonly task?: Task | undefined;
  /** Default: dynamic for ONNX, for TFLite 384 (question answering) or 128, at most the model's own maximum. */
  readonly sequenceLength?: number | 'dynamic' | undefined;
  /** Default 1. */
  readonly batch?: number | 'dynamic' | undefined;
  /** Multiple choice only. Default: dynamic for ONNX, 4 for TFLite. */
  readonly choices?: number | 'dynamic' | undefined;
}

/** A model ready for passes and exporters. */
export interface OpenedModel {
  /** A new graph at each call, as passes change what they run on. */
  build(target: Target, shapes?: ShapeOptions): Graph;
  readonly task: Task;
  readonly architecture: string;
  readonly maxPositions: number;
  readonly labels: readonly string[] | undefined;
  readonly vocabulary: Uint8Array | undefined;
  /** From the tokenizer's own config; BERT's default is true. */
  readonly lowerCase: boolean;
  readonly warnings: readonly string[];
  readonly unused: readonly string[];
  close(): void;
}

/** Question answering gets the length that Task Library fixes; 128 is what BERT's sentence tasks were trained with. */
const QA_LENGTH = 384;
const SENTENCE_LENGTH = 128;

/** SWAG and RACE, the usual multiple-choice sets, have four. */
const TFLITE_CHOICES = 4;

/** Opens a source of any known format and reads what it is. Throws what the importers throw. */
export async function openModel(path: string, task?: Task): Promise<OpenedModel> {
  const { checkpoint } = await openSource(path);
  try {
    return fromCheckpoint(checkpoint, task);
  } catch (cause) {
    checkpoint.close();
    throw cause;
  }
}

function fromCheckpoint(checkpoint: Checkpoint, wanted: Task | undefined): OpenedModel {
  const { task, maxPositions, architecture, labels } = describeModel(checkpoint, wanted);
  const build = (target: Target, shapes: ShapeOptions = {}) =>
    buildModel(checkpoint, {
      task,
      batch: dimension(shapes.batch ?? 1, 'batch'),
      sequenceLength: dimension(shapes.sequenceLength ?? defaultLength(target, task, maxPositions), 'sequence'),
      choices: dimension(shapes.choices ?? (target === 'onnx' ? 'dynamic' : TFLITE_CHOICES), 'choices'),
      indexType: target === 'onnx' ? 'i64' : 'i32',
    });
  // Built once to find every missing weight before anything is written; building reads no weight.
  const { warnings, unused } = build('onnx');
  return {
    build: (target, shapes) => build(target, shapes).graph,
    task,
    architecture: architecture.modelType,
    maxPositions,
    labels,
    vocabulary: checkpoint.vocabulary,
    lowerCase: checkpoint.tokenizerConfig?.get('do_lower_case') !== false,
    warnings,
    unused,
    close: checkpoint.close,
  };
}

function dimension<S extends string>(size: number | 'dynamic', symbol: S): number | S {
  return size === 'dynamic' ? symbol : size;
}

/** What `--sequence-length` is by default. */
export function defaultLength(target: Target, task: Task, maxPositions: number): number | 'dynamic' {
  if (target === 'onnx') return 'dynamic';
  return Math.min(task === 'qa' ? QA_LENGTH : SENTENCE_LENGTH, maxPositions);
}

/** The target of a file name, undefined for a folder. Throws USAGE for another extension. */
export function targetOf(path: string): Target | undefined {
  const extension = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase();
  if (extension === 'onnx' || extension === 'tflite') return extension;
  if (extension === undefined || path.endsWith('/')) return undefined;
  throw new MbertError('USAGE', `${path}: mbert writes .tflite and .onnx files, not .${extension}`, {
    hint: 'name a folder to get both',
  });
}
