import { MbertError } from '../errors.ts';
import type { Task } from '../models/index.ts';
import type { Target } from '../passes/index.ts';

/** A fixed size, or any size at run time. */
export type Size = number | 'dynamic';

/** Sizes that are fixed in a model's input shape, [batch, sequence] or [batch, choices, sequence]. */
export interface ShapeOptions {
  /**
   * Tokens in a sequence. Default: dynamic for ONNX, for TFLite what the source says, else 384 (question answering) or
   * 128, at most the model's own maximum.
   */
  readonly sequenceLength?: Size | undefined;
  /** Sequences in a run. Default: dynamic for ONNX, 1 for TFLite. */
  readonly batch?: Size | undefined;
  /** Answers to a question, multiple choice only. Default: dynamic for ONNX, 4 for TFLite. */
  readonly choices?: Size | undefined;
}

/** Sizes of a model's inputs, defaults filled in. */
export interface Sizes {
  readonly sequenceLength: Size;
  readonly batch: Size;
  readonly choices: Size;
}

/**
 * Default length for TFLite: question answering gets what Task Library fixes, and 128 is what BERT's sentence tasks
 * were trained with.
 */
const QA_LENGTH = 384;
const SENTENCE_LENGTH = 128;

/** Default number of answers for TFLite: SWAG and RACE, the usual multiple-choice sets, have four. */
const TFLITE_CHOICES = 4;

/** Facts of a model that its default sizes follow. */
export interface SizedModel {
  readonly task: Task | undefined;
  readonly maxPositions: number;
  readonly usualLength?: number | undefined;
}

/** Throws USAGE for a number of choices where a model's inputs have no axis of them. */
export function refuseChoices({ choices }: ShapeOptions, hasChoices: boolean, path: string): void {
  if (choices === undefined || hasChoices) return;
  throw new MbertError('USAGE', `--choices: ${path} is no multiple-choice model`, { hint: 'leave --choices out' });
}

/** Fills in the defaults for a target format and a model. */
export function sizesFor(
  target: Target,
  { task, maxPositions, usualLength }: SizedModel,
  { sequenceLength, batch, choices }: ShapeOptions,
): Sizes {
  const fixedLength = Math.min(usualLength ?? (task === 'qa' ? QA_LENGTH : SENTENCE_LENGTH), maxPositions);
  return {
    sequenceLength: sequenceLength ?? (target === 'onnx' ? 'dynamic' : fixedLength),
    batch: batch ?? (target === 'onnx' ? 'dynamic' : 1),
    choices: choices ?? (target === 'onnx' ? 'dynamic' : TFLITE_CHOICES),
  };
}
