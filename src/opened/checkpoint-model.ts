import type { Checkpoint } from '../formats/checkpoint.ts';
import { buildModel, describeModel } from '../models/index.ts';
import type { Target } from '../passes/index.ts';
import { defaultLength, type OpenedModel, type OpenOptions, type ShapeOptions } from './opened-model.ts';

/** SWAG and RACE, the usual multiple-choice sets, have four. */
const TFLITE_CHOICES = 4;

/** A model that came as weights: its graph is built anew at each call. */
export function fromCheckpoint(checkpoint: Checkpoint, options: OpenOptions): OpenedModel {
  const { task, maxPositions, architecture, labels } = describeModel(checkpoint, options.task);
  const build = (target: Target, shapes: ShapeOptions = {}) =>
    buildModel(checkpoint, {
      task,
      mask: options.mask,
      batch: dimension(shapes.batch ?? 1, 'batch'),
      sequenceLength: dimension(shapes.sequenceLength ?? defaultLength(target, task, maxPositions), 'sequence'),
      choices: dimension(shapes.choices ?? (target === 'onnx' ? 'dynamic' : TFLITE_CHOICES), 'choices'),
      indexType: target === 'onnx' ? 'i64' : 'i32',
    });
  // Built once to find every missing weight before anything is written; building reads no weight.
  const { warnings, unused } = build('onnx');
  return {
    build: (target, shapes) => build(target, shapes).graph,
    reference: () => build('onnx', { batch: 'dynamic', sequenceLength: 'dynamic', choices: 'dynamic' }).graph,
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
