import type { Checkpoint } from '../formats/checkpoint.ts';
import type { JsonObject } from '../formats/json.ts';
import { buildModel, describeModel } from '../models/index.ts';
import { refuseChoices, type ShapeOptions, sizesFor } from '../options/shape.ts';
import type { Target } from '../passes/index.ts';
import { padOf } from './config-facts.ts';
import { withLeastMask } from './least-mask.ts';
import type { OpenedModel, OpenOptions } from './opened-model.ts';
import { paddingSideWarnings } from './padding-side.ts';

/** Opens a model that is stored as weights: its graph is built anew at each call. */
export function fromCheckpoint(checkpoint: Checkpoint, options: OpenOptions): OpenedModel {
  const { task, maxPositions, usualLength, architecture, labels, logitsKind } = describeModel(checkpoint, options.task);
  const build = (target: Target, shape: ShapeOptions = {}) => {
    const { batch, sequenceLength, choices } = sizesFor(target, { task, maxPositions, usualLength }, shape);
    return buildModel(checkpoint, {
      task,
      mask: options.mask,
      batch: dimension(batch, 'batch'),
      sequenceLength: dimension(sequenceLength, 'sequence'),
      choices: dimension(choices, 'choices'),
      indexType: target === 'onnx' ? 'i64' : 'i32',
    });
  };
  const reference = () => build('onnx', { batch: 'dynamic', sequenceLength: 'dynamic', choices: 'dynamic' }).graph;
  // Built once to find every missing weight before anything is written; building reads no weight.
  const { warnings, unused } = build('onnx');
  return {
    path: checkpoint.path,
    build(target, shapes = {}) {
      refuseChoices(shapes, task === 'multiple-choice', checkpoint.path);
      return build(target, shapes).graph;
    },
    reference,
    // TensorFlow's code adds -10000 to scores of padding, as files do.
    asComputed: checkpoint.origin === 'torch' ? () => withLeastMask(reference()) : undefined,
    task,
    architecture: architecture.modelType,
    maxPositions,
    usualLength,
    logitsKind,
    labels,
    config: checkpoint.config,
    tokenizer: checkpoint.tokenizer,
    pad: padOf(checkpoint.config),
    format: 'checkpoint',
    facts: factsOf(checkpoint.config),
    warnings: [...warnings, ...paddingSideWarnings(checkpoint.tokenizer)],
    unused,
    close: checkpoint.close,
  };
}

/** Entries of a config that say where a checkpoint is from. */
const ORIGIN = [
  ['transformers', 'transformers_version'],
  ['name', '_name_or_path'],
] as const;

function factsOf(config: JsonObject): ReadonlyMap<string, string> {
  const facts = new Map<string, string>();
  for (const [name, key] of ORIGIN) {
    const value = config.get(key);
    if (typeof value === 'string' && value !== '') facts.set(name, value);
  }
  return facts;
}

function dimension<S extends string>(size: number | 'dynamic', symbol: S): number | S {
  return size === 'dynamic' ? symbol : size;
}
